import type { Page } from './visitor.ts'

/** Returns what a stranger sees of a refused sign-in, without what differs between requests. */
export function shownRefusal({ status, headers, body }: Page, email: string): object {
  const {
    date: _1,
    'x-request-id': _2,
    'content-length': _3,
    'retry-after': wait,
    ...rest
  } = Object.fromEntries(headers)
  return {
    status,
    headers: {
      ...rest,
      'set-cookie': rest['set-cookie']?.replaceAll(/postern_browser_[\w.-]+=[^;]+|expires=[^;]+/g, ''),
      'retry-after': wait !== undefined && Number(wait) > 0,
    },
    body: body
      .replaceAll(email, 'EMAIL')
      .replaceAll(/\/interaction\/[^/"]+/g, '/interaction/UID')
      .replaceAll(/name="(uid|csrf)" value="[^"]+"/g, '')
      .replaceAll(/data-seconds="\d+"/g, '')
      .replaceAll(/\d+ (second|minute)s?/g, 'a while'),
  }
}
