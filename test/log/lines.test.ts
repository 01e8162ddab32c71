import { describe, expect, test } from 'vitest'
import { parse } from '../../src/config/index.ts'
import { createLogger, logDestination } from '../../src/log/index.ts'
import { lineOf } from '../../src/log/lines.ts'
import { styleFor } from '../../src/log/style.ts'

const plain = styleFor({ isTTY: false }, {})

function logged(settings: Record<string, string>, isTTY: boolean): string {
  let written = ''
  const output = { isTTY, write: (text: string) => (written += text) }
  const destination = logDestination(parse(settings), output, { NO_COLOR: '1' })
  createLogger('info', destination ?? output).info({ n: 1 }, 'something')
  return written
}

describe('LOG_FORMAT', () => {
  test.each([
    [{}, true, 'text'],
    [{}, false, 'json'],
    [{ LOG_FORMAT: 'text' }, false, 'text'],
    [{ LOG_FORMAT: 'json' }, true, 'json'],
  ] as const)('with %j and a terminal (%s) makes the log %s', (settings, isTTY, format) => {
    const written = logged(settings, isTTY)
    if (format === 'json') expect(JSON.parse(written)).toMatchObject({ n: 1, msg: 'something' })
    else expect(written).toMatch(/\d\d:\d\d:\d\d info something {2}n=1\n$/)
  })
})

describe('a line of the log for a person', () => {
  const request = { level: 30, time: 0, pid: 1, msg: 'request', method: 'POST', path: '/oauth/token', durationMs: 4.2 }

  test('about a request has method, path, status, time and client', () => {
    const line = lineOf({ ...request, status: 200, address: '192.0.2.1', requestId: 'abc' }, plain)
    expect(line).toMatch(/^\d\d:\d\d:\d\d POST {2}\/oauth\/token {2}200 {2}4 ms {2}192\.0\.2\.1$/)
  })

  test('about a request refused by a redirect also has the reason and the id', () => {
    const reason = 'the client has to use PKCE'
    expect(lineOf({ ...request, status: 303, requestId: 'abc', reason }, plain)).toContain(`${reason}  id abc`)
  })

  test('about a refused request has the reason, and the id for postern explain', () => {
    const reason = 'the authorization code expired 2 s ago'
    expect(lineOf({ ...request, status: 400, requestId: 'abc', reason }, plain)).toContain(`${reason}  id abc`)
  })

  test('about an error has its message and place, and about a warning only the message', () => {
    const err = { message: 'no', stack: 'Error: no\n    at here' }
    expect(lineOf({ level: 50, time: 0, msg: 'failed', err }, plain)).toMatch(/error failed: no\n +at here$/)
    expect(lineOf({ level: 40, time: 0, msg: 'failed', err }, plain)).toMatch(/warn failed: no$/)
  })

  test('lets no path or header control the terminal', () => {
    const line = lineOf({ ...request, path: '/\u001b[2J\n', status: 404, reason: '\u009b2J' }, plain)
    expect(line).not.toMatch(/\p{Cc}/u)
  })
})
