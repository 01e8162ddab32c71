import { describe, expect, test } from 'vitest'
import { allLanguages, languages } from '../../src/languages/index.ts'
import type { ViewName, Views } from '../../src/views/pages/index.ts'
import { createViews } from '../../src/views/render.ts'
import { english } from '../../src/views/texts/index.ts'
import {
  client,
  email,
  examples,
  formsOf,
  names,
  noLinks,
  openid,
  published,
  stranger,
  withoutOwnScripts,
} from '../support/page-examples.ts'

const views = createViews()
const render = <Name extends ViewName>(name: Name, data: Views[Name]): string =>
  views.render({ language: 'en' }, name, data)
const hostile = '<script>alert("x")</script>'

const textOf = (html: string) => html.replace(/<style[\s\S]*?<\/style>|<[^>]+>/g, '').replace(/\s+/g, ' ')

function pagesOf<Name extends ViewName>(name: Name, change = (data: Views[Name]): Views[Name] => data): string[] {
  return formsOf(name).map((data) => render(name, change(data)))
}

/** Returns the same data with every string in it replaced, except for fixed codes. */
function withHostileText<Value>(value: Value): Value {
  return replaced(value, '')
}

function replaced<Value>(value: Value, key: string): Value {
  const codes = [
    'error',
    'reason',
    'outcome',
    'code',
    'kind',
    'claim',
    'done',
    'occasion',
    'purpose',
    'label',
    'type',
    'hint',
    'zone',
    'way',
    'others', // the strings in it: objects in it have names of their own
  ]
  const known = { ...english.scopes, ...english.claims, ...english.account.profile.labels }
  if (typeof value === 'string') {
    const isCode = codes.includes(key) || (['name', 'scopes', 'claims'].includes(key) && Object.hasOwn(known, value))
    return (isCode ? value : hostile) as Value
  }
  if (Array.isArray(value)) return value.map((entry) => replaced(entry, key)) as Value
  if (typeof value !== 'object' || value === null || value instanceof Date || key === 'tabs') return value
  return Object.fromEntries(Object.entries(value).map(([name, entry]) => [name, replaced(entry, name)])) as Value
}

function withoutMembersOf(data: object, path: readonly string[]): object {
  const [head = '', ...rest] = path
  const { [head]: member, ...others } = data as Record<string, unknown>
  return rest.length === 0 ? others : { ...others, [head]: withoutMembersOf(member as object, rest) }
}
describe.each(names)('the %s page', (name) => {
  test('renders with all its codes, and without each optional member', () => {
    for (const page of pagesOf(name)) {
      expect(page).toMatch(/^<!doctype html>\n<html lang="en" dir="ltr">/)
      expect(page).toMatch(/<title>[^<]+ · Postern<\/title>/)
      expect(page.match(/<h1/g)).toHaveLength(1)
      expect(page).not.toMatch(/undefined|\[object|NaN/)
    }
  })

  test('separates attributes, and has each id once and every id that it refers to', () => {
    for (const page of pagesOf(name)) {
      expect(page).not.toMatch(/(checked|disabled|required|autofocus)[a-z]/)
      for (const [tag] of page.matchAll(/<[a-z][^>]*>/g)) {
        expect(tag).toMatch(/^<[a-z0-9]+(\s+[a-z-]+(="[^"]*")?)*\s*\/?>$/i)
      }
      const ids = [...page.matchAll(/\sid="([^"]+)"/g)].map(([, id]) => id)
      expect(new Set(ids).size).toBe(ids.length)
      for (const [, references = ''] of page.matchAll(/\s(?:for|aria-describedby)="([^"]+)"/g)) {
        for (const id of references.split(' ')) expect(ids).toContain(id)
      }
    }
  })

  test('escapes every string in it', () => {
    for (const page of pagesOf(name, withHostileText)) {
      expect(withoutOwnScripts(page)).not.toContain('<script')
      expect(page).not.toContain('alert("x")')
    }
  })

  test('posts each of its forms, with the token that protects against forgery', () => {
    for (const page of pagesOf(name)) {
      for (const [form] of page.matchAll(/<form[\s\S]*?<\/form>/g)) {
        expect(form).toMatch(/^<form[^>]* method="post" action="\/[^"]+"/)
        if (form.includes('action="/link/')) continue // the address itself is the token
        // Nobody is signed in where this form is: the origin alone protects it (several-accounts.test.ts).
        if (form.includes('action="/account/choose"')) continue
        expect(form).toMatch(/<input type="hidden" name="(csrf|xsrf)" value="token-1">/)
        if (form.includes('"csrf"') && !form.includes('action="/account'))
          expect(form).toContain('<input type="hidden" name="uid" value="uid-1">')
        expect(form).toMatch(/<button [^>]*type="submit"/)
      }
    }
  })

  test('throws when a value that it shows is missing', () => {
    const shown: { [Name in ViewName]: readonly string[] } = {
      'sign-in': ['uid', 'csrf', 'email', 'client', 'client.name'],
      account: ['account.email'],
      'sign-up': ['uid', 'csrf', 'client', 'client.name', 'minLength'],
      'sign-up-code': ['uid', 'csrf', 'email'],
      'sign-up-passkey': ['uid', 'csrf', 'email'],
      'account-email': ['csrf', 'email'],
      'directory-password': ['email', 'back'],
      forgot: ['uid', 'csrf', 'email'],
      'forgot-sent': ['uid', 'csrf', 'email'],
      code: ['uid', 'csrf', 'email'],
      authenticator: ['action', 'secret', 'back'],
      'recovery-codes': ['next'],
      enrol: ['uid', 'csrf'],
      'second-factor': ['uid', 'csrf', 'way'],
      'new-password': ['action', 'occasion', 'email'],
      link: ['action', 'purpose', 'email'],
      'link-end': ['reason'],
      'link-done': ['outcome', 'email', 'next.kind'],
      'continue-as': ['uid', 'csrf', 'client', 'client.name', 'account.email'],
      consent: ['uid', 'csrf', 'client', 'client.name', 'account.email'],
      'device-code': ['action', 'xsrf'],
      'device-confirm': ['action', 'xsrf', 'userCode', 'client', 'client.name'],
      'device-done': ['client.name'],
      'sign-out': ['action', 'xsrf'],
      'signed-out': [],
      submitting: ['action'],
      error: ['code'],
      elsewhere: ['issuer', 'mismatch.received'],
      home: ['issuer', 'version'],
      'account-profile': ['csrf'],
      'account-security': ['csrf'],
      'account-passkey-add': ['csrf'],
      'account-passkey-edit': ['csrf', 'passkey'],
      'account-apps': [],
      'account-app-remove': ['csrf', 'app'],
      'account-activity': [],
      'account-data': ['csrf'],
      'account-delete': ['csrf'],
      'account-deleted': [],
      'keep-account': ['uid', 'csrf'],
      terms: ['uid', 'csrf', 'version', 'client', 'account.email'],
      'terms-declined': ['client'],
      mailbox: [],
      'mailbox-mail': ['subject', 'to', 'at'],
    }
    for (const member of shown[name]) {
      const data = withoutMembersOf(examples[name], member.split('.')) as Views[typeof name]
      expect(() => render(name, data), member).toThrow()
    }
  })
})

describe('the sign-in page', () => {
  const page = (data: Partial<Views['sign-in']>) => render('sign-in', { ...examples['sign-in'], ...data })

  test('keeps the typed email but never a password, and tells a screen reader what is wrong', () => {
    const html = page({ email: 'ada@example.com', error: 'wrong-credentials' })
    expect(html).toContain('value="ada@example.com"')
    expect(html).toMatch(/id="problem" role="alert"/)
    expect(html.match(/aria-describedby="problem"/g)).toHaveLength(2)
    expect(html).toContain('<title>Error: Sign in')
    expect(/<input id="password"[^>]*>/.exec(html)?.[0]).not.toContain('value=')
  })

  test('puts the cursor where typing starts', () => {
    expect(page({ email: '' })).toMatch(/<input id="email"[^>]* autofocus/)
    expect(page({ email: 'ada@example.com' })).toMatch(/<input id="password"[^>]* autofocus/)
    expect(page({ email: 'ada@example.com' }).match(/autofocus/g)).toHaveLength(1)
  })

  test('tells password managers which field is which', () => {
    expect(page({})).toMatch(/name="email"[^>]*autocomplete="username webauthn"/)
    expect(page({})).toMatch(/name="password"[^>]*autocomplete="current-password"/)
  })
})

describe('the consent page', () => {
  const page = (data: Partial<Views['consent']>) => render('consent', { ...examples['consent'], ...data })

  test('sends a required scope although its checkbox is disabled', () => {
    const html = page({ scopes: [openid, email], claims: [], resources: [] })
    expect(html).toMatch(/type="checkbox" name="scope" value="openid"\s+checked disabled\s/)
    expect(html).toContain('<input type="hidden" name="scope" value="openid">')
  })

  test('lets the person choose a scope that is not required', () => {
    const html = page({ scopes: [email, email], claims: [], resources: [] })
    expect(html).toMatch(/type="checkbox" name="scope" value="email"/)
    expect(html).not.toMatch(/checked|disabled|type="hidden" name="scope"/)
    expect(html).toContain('<bdi>ada@example.com</bdi>')
  })

  test('names scopes of an API together with that API, and claims by their own name', () => {
    const html = page({})
    expect(html).toContain('name="resource_scope" value="https://api.example.com/ read"')
    expect(html).toContain('<bdi dir="ltr">api.example.com</bdi>')
    expect(html).toContain('name="claim" value="phone_number"')
  })

  test('has no list for the one thing that an app asks for first, and a box to untick when it asks for more later', () => {
    const asked = { scopes: [openid], claims: [], resources: [] }
    const first = page({ ...asked, isFirst: true })
    expect(first).not.toContain('type="checkbox"')
    expect(first).toContain('Continue as <bdi>Ada Lovelace</bdi>')
    expect(first).toContain('<input type="hidden" name="scope" value="openid">')
    expect(page({ ...asked, scopes: [{ ...openid, required: false }], isFirst: false })).toContain('type="checkbox"')
    const far = { ...openid, name: 'offline_access', required: false } as const
    expect(page({ ...asked, scopes: [far], isFirst: true })).toContain('Sensitive')
  })

  test('labels the values it would share, writes dates in words, and has no more than six in sight', () => {
    const values = [
      { claim: 'name', value: 'Ada Lovelace' },
      { claim: 'birthdate', value: '1815-12-10' },
      { claim: 'locale', value: 'de-AT' },
      ...(['nickname', 'website', 'gender', 'zoneinfo', 'picture'] as const).map((claim) => ({ claim, value: 'x' })),
    ] as const
    const text = textOf(page({ scopes: [openid, { ...email, values }] }))
    for (const part of ['Name: Ada Lovelace', 'Born: December 10, 1815', 'Language: Austrian German', '2 more']) {
      expect(text).toContain(part)
    }
  })

  test.each([
    ['files:write', true],
    ['mail.send', true],
    ['postern:clients', true],
    ['offline_access', true],
    ['files:read', false],
    ['postern:clients:read', false],
    ['rewrite-history', false],
  ])('marks a far-reaching scope: %s, %s', (name, isMarked) => {
    const [resource] = examples.consent.resources
    const resources = resource ? [{ ...resource, scopes: [{ ...email, name, title: name }] }] : []
    expect(page({ resources }).includes('item-sensitive')).toBe(isMarked)
  })

  test('makes Deny the button that Enter presses', () => {
    const html = page({})
    expect(html.indexOf('name="decision" value="deny"')).toBeGreaterThan(0)
    expect(html.indexOf('name="decision" value="deny"')).toBeLessThan(html.indexOf('name="decision" value="allow"'))
  })

  const reviewed = { ...client, ...noLinks }

  test('says that nobody has reviewed the app exactly when that is so', () => {
    expect(page({})).not.toContain('Nobody here has reviewed this app')
    expect(page({ client: { ...reviewed, isReviewed: false } })).toContain('Nobody here has reviewed this app')
  })

  test('puts the host that vouches for an app before the name that the app gives itself', () => {
    const html = page({ client: { ...noLinks, ...published } })
    expect(html).toMatch(/<title>assistant\.example asks/)
    expect(html).toMatch(/<h1><bdi class="name" dir="ltr">assistant\.example<\/bdi>/)
    expect(html).toContain('Verified by its address')
    expect(html).toContain('It calls itself <bdi>“Assistant”</bdi></p>')
    expect(html).toContain('Nobody here has reviewed this app')
    expect(html).not.toContain('It registered itself')
    expect(page({})).not.toContain('Verified')
  })

  test('shows the whole address of a document, because its path may tell tenants of the host apart', () => {
    for (const host of ['assistant.example', 'notes.example', '127.0.0.1:33418', 'com.example.app:', '']) {
      const html = page({ client: { ...noLinks, ...published, host } })
      expect(html, host).toContain('<bdi dir="ltr">assistant.example/apps/client.json</bdi>')
    }
  })

  test('shows the host that receives the answer, and verifies nothing, when the document is on another host', () => {
    const html = page({ client: { ...noLinks, ...published, host: 'evil.example' } })
    expect(html).toMatch(/<title>evil\.example asks/)
    expect(html).toMatch(/<h1><bdi class="name" dir="ltr">evil\.example<\/bdi>/)
    expect(html).not.toContain('Verified')
    expect(html).toContain('Its description is somewhere else, at')
    expect(textOf(html)).toContain('You return to evil.example, which may have nothing to do with assistant.example.')
    expect(textOf(html)).toContain('Continue only if you know and trust evil.example.')
    expect(textOf(html)).not.toContain('trust assistant.example')
  })

  test.each(['assistant.example:8443', 'app.assistant.example', 'example'])(
    'does not call an app at %s verified, because its document is on another host',
    (host) => {
      expect(page({ client: { ...noLinks, ...published, host } })).not.toContain('Verified')
    },
  )

  test.each(['localhost:33418', '127.0.0.1', '[::1]:1', 'com.example.app:'])(
    'does not call an app at %s verified, because any app on the device could be there',
    (host) => {
      const html = page({ client: { ...noLinks, ...published, host } })
      expect(html).not.toContain('Verified')
      expect(html).toContain('Any app on this device can say that it is from <bdi dir="ltr">assistant.example</bdi>')
    },
  )

  test('never tells the person to trust a private-use scheme, whoever registered the app', () => {
    for (const isReviewed of [true, false]) {
      const html = page({ client: { ...reviewed, isReviewed, host: 'com.google.android.gm:' } })
      expect(html).toContain('An app on this device')
      expect(textOf(html)).toContain('by com.google.android.gm. Any app on the device can claim that address.')
      expect(textOf(html)).not.toMatch(/Address: com|trust com|com\.google\.android\.gm:/)
    }
  })

  test('tells the person to continue with an unreviewed app on the device only if they have just opened it', () => {
    for (const host of ['com.google.android.gm:', '127.0.0.1:33418']) {
      const text = textOf(page({ client: { ...reviewed, isReviewed: false, host } }))
      expect(text).toContain('Any app on this device can say that it is this one.')
      expect(text).toContain('Continue only if you have just opened it yourself.')
      expect(text).not.toContain('know and trust')
    }
  })

  const uris = {
    uri: 'javascript:alert(1)',
    policyUri: 'data:text/html,x',
    tosUri: 'https://ledger.example.com/terms',
  }
  const hrefs = (html: string) => [...html.matchAll(/<a href="([^"]*)"/g)].map(([, href]) => href)

  test('links to https addresses only', () => {
    expect(hrefs(page({ client: { ...reviewed, ...uris } }))).toEqual([uris.tosUri])
  })

  test.each<[who: string, shown: Views['consent']['client'], linked: string[]]>([
    ['a reviewed app to any host', { ...client, ...noLinks }, ['rp.example', 'accounts.google.example']],
    [
      'an unreviewed app to the host that receives the answer',
      { ...stranger, ...noLinks, host: 'rp.example' },
      ['rp.example'],
    ],
    ['an unreviewed app on the device to no host', { ...stranger, ...noLinks, host: 'com.rp.app:' }, []],
    ['an unreviewed app without a host to no host', { ...stranger, ...noLinks, host: '' }, []],
    [
      'an app on the device with a document to the host of the document',
      {
        ...published,
        ...noLinks,
        host: '127.0.0.1:1',
        logo: undefined,
        document: { host: 'rp.example', address: 'https://rp.example/c' },
      },
      ['rp.example'],
    ],
    [
      'an app with a document on another host to no host',
      {
        ...published,
        ...noLinks,
        host: 'evil.example',
        logo: undefined,
        document: { host: 'rp.example', address: 'https://rp.example/c' },
      },
      [],
    ],
  ])('links %s, and names the host of every address', (_who, shown, linked) => {
    const html = page({
      client: { ...shown, uri: 'https://rp.example/', policyUri: 'https://accounts.google.example/privacy' },
    })
    expect(hrefs(html).map((href) => new URL(String(href)).host)).toEqual(linked)
    for (const host of ['rp.example', 'accounts.google.example']) {
      expect(html).toContain(`<span class="leads"><bdi dir="ltr">${host}</bdi></span>`)
    }
  })
})

describe('the name of an unreviewed app', () => {
  const hostile = 'Acme”. You return to accounts.acme.example. It is “good" «yes» „so‟ ＂x＂ ❞'
  const pages = (name: string) =>
    names.flatMap((view) =>
      [stranger, { ...published, host: 'evil.example' }, { ...stranger, host: '' }].flatMap((shown) => {
        const data = examples[view] as { client?: object }
        return data.client ? [render(view, { ...data, client: { ...data.client, ...shown, name } } as never)] : []
      }),
    )

  test('is in quotation marks on every page that shows it, and cannot close them itself', () => {
    const shown = pages(hostile)
    expect(shown.length).toBeGreaterThan(10)
    let quotations = 0
    for (const html of shown) {
      const text = html.replace(/<[^>]+>/g, '')
      for (const [, quoted = ''] of text.matchAll(/“([^”]*)”/g)) {
        if (!quoted.includes('Acme')) continue
        quotations += 1
        expect(quoted).toBe('Acme’. You return to accounts.acme.example. It is ’good’ ’yes’ ’so’ ’x’ ’')
      }
      expect(text.replace(/“[^”]*”/g, '')).not.toContain('Acme')
    }
    expect(quotations).toBeGreaterThan(10)
  })

  test('is in an element of its own, so that its direction does not affect the text around it', () => {
    for (const html of pages('שלום')) {
      const body = html.slice(html.indexOf('<body'))
      expect(
        body.replace(/<bdi[^>]*>[^<]*<\/bdi>/g, '').replace(/<span class="tile[^>]*>[^<]*<\/span>/g, ''),
      ).not.toContain('שלום')
    }
  })

  test('is not quoted when an administrator chose it', () => {
    expect(render('consent', examples.consent)).not.toContain('“Ledger”')
  })
})

test('the error page shows an OAuth error only for the code "protocol"', () => {
  const data = {
    reference: undefined,
    developer: undefined,
    error: 'invalid_scope',
    errorDescription: 'no such scope',
    back: undefined,
  }
  expect(render('error', { ...data, code: 'protocol' })).toContain('invalid_scope')
  expect(render('error', { ...data, code: 'server-error' })).not.toContain('invalid_scope')
})

test.each(allLanguages)('a page is in the language of the person who reads it: %s', (language) => {
  const page = views.render({ language }, 'home', examples.home)
  expect(page).toContain(`<html lang="${language}" dir="${languages[language]}">`)
})
