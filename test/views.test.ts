import { existsSync, globSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { scopes } from '../src/oidc/scopes.ts'
import { assets, versionOfAssets } from '../src/views/assets.ts'
import type { ViewName, Views } from '../src/views/pages/index.ts'
import { createViews } from '../src/views/render.ts'
import { english } from '../src/views/texts/index.ts'

const repository = join(import.meta.dirname, '..')
const { render } = createViews()
const hostile = '<script>alert("x")</script>'
const interaction = { uid: 'uid-1', csrf: 'token-1' }
const client = { name: 'Ledger', host: 'ledger.example.com', isReviewed: true, logo: undefined, document: undefined }
/** One that registered itself. */
const stranger = { ...client, isReviewed: false }
/** One that is described by a document of its own. */
const published = {
  name: 'Assistant',
  host: 'assistant.example',
  isReviewed: false,
  logo: undefined,
  document: { host: 'assistant.example', address: 'https://assistant.example/apps/client.json' },
}
const noLinks = { uri: undefined, policyUri: undefined, tosUri: undefined }
const account = { name: 'Ada Lovelace', email: 'ada@example.com' }
const email = { name: 'email', values: ['ada@example.com'], required: false, checked: false } as const
const openid = { name: 'openid', values: [], required: true, checked: true } as const

// Of the page that goes on by itself: a hash allows it, so it is always the same.
const onlyScript = `<script>document.querySelector('form').submit()</script>`

const examples: Views = {
  'sign-in': {
    ...interaction,
    client,
    email: '',
    error: undefined,
    retryAfterSeconds: undefined,
    reason: undefined,
  },
  'continue-as': { ...interaction, client, account },
  consent: {
    ...interaction,
    client: { ...client, ...noLinks },
    account,
    scopes: [openid, email],
    claims: [{ name: 'phone_number', values: [], required: false, checked: true }],
    resources: [
      {
        identifier: 'https://api.example.com/',
        name: 'Ledger API',
        scopes: [{ ...email, name: 'read', title: 'Read the ledger' }],
      },
    ],
    error: undefined,
  },
  'device-code': { action: '/device', xsrf: 'token-1', userCode: undefined, error: undefined },
  'device-confirm': {
    action: '/device',
    xsrf: 'token-1',
    userCode: 'WDJB-MJHT',
    client,
    device: { ip: undefined, userAgent: undefined },
  },
  'device-done': { outcome: 'approved', client },
  'sign-out': {
    action: '/oauth/logout/confirm',
    xsrf: 'token-1',
    client: undefined,
    account: undefined,
    cannotReturn: false,
  },
  'signed-out': { isSignedIn: false, cannotReturn: false, back: undefined },
  submitting: {
    action: '/oauth/logout/confirm',
    fields: [{ name: 'xsrf', value: 'token-1' }],
    host: undefined,
  },
  error: {
    code: 'expired',
    reference: undefined,
    developer: undefined,
    error: undefined,
    errorDescription: undefined,
    back: undefined,
  },
  elsewhere: { issuer: 'https://id.example.com', reason: 'It was asked as "127.0.0.1".' },
  home: { issuer: 'https://id.example.com', version: '1.0.0' },
}

function keys<Texts extends object>(texts: Texts): (keyof Texts)[] {
  return Object.keys(texts) as (keyof Texts)[]
}

// Every alternative that a code or an optional member opens up.
const variants: { [Name in ViewName]: readonly Partial<Views[Name]>[] } = {
  'sign-in': [
    ...keys(english.signInErrors).map((error) => ({ email: 'ada@example.com', error })),
    { error: 'too-many-attempts', retryAfterSeconds: undefined },
    { error: 'too-many-attempts', retryAfterSeconds: 1 },
    { error: 'too-many-attempts', retryAfterSeconds: 600 },
    ...keys(english.signInReasons).map((reason) => ({ reason })),
    { client: published },
    { client: { ...published, host: client.host } },
    { client: { ...published, host: '127.0.0.1:33418' } },
    { client: stranger },
    { client: { ...stranger, host: 'com.example.app:' } },
  ],
  'continue-as': [{ account: { name: '', email: 'ada@example.com' } }, { client: stranger }, { client: published }],
  consent: [
    ...keys(english.consentErrors).map((error) => ({ error })),
    {
      scopes: keys(english.scopes).map((name) => ({ ...openid, name })),
      claims: keys(english.claims).map((name) => ({ name, values: [], required: false, checked: true })),
    },
    { scopes: [], claims: [], resources: [] },
    { client: { ...noLinks, ...published } },
    { client: { ...noLinks, ...published, host: 'notes.example' } },
    { client: { ...noLinks, ...published, host: 'com.example.app:' } },
    { client: { ...noLinks, ...client, host: 'com.example.app:' } },
    { client: { ...noLinks, ...stranger, host: '' } },
    {
      client: {
        ...stranger,
        host: '127.0.0.1:33418',
        uri: 'https://agent.example.com',
        policyUri: 'https://agent.example.com/privacy',
        tosUri: 'https://agent.example.com/terms',
      },
    },
  ],
  'device-code': keys(english.deviceCodeErrors).map((error) => ({ error, userCode: 'WDJB-MJHT' })),
  'device-confirm': [
    { device: { ip: '203.0.113.24', userAgent: 'Television/1.0' } },
    { client: { ...stranger, host: '' } },
    { client: { ...published, host: '' } },
  ],
  'device-done': [{ outcome: 'denied' }, { client: undefined }],
  'sign-out': [
    { client, account },
    { client: published, account, cannotReturn: true },
  ],
  submitting: [{ host: 'ledger.example' }],
  'signed-out': [{ isSignedIn: true }, { cannotReturn: true, back: { href: 'https://a.example', name: 'Ledger' } }],
  error: keys(english.errors)
    .map((code): Partial<Views['error']> => ({ code }))
    .concat({
      code: 'protocol',
      reference: '7Q2M-X4KD',
      error: 'invalid_request',
      errorDescription: 'missing required parameter',
      back: { href: 'https://ledger.example.com', name: 'Ledger' },
    }),
  elsewhere: [],
  home: [],
}

const names = Object.keys(examples) as ViewName[]

function pagesOf<Name extends ViewName>(name: Name, change = (data: Views[Name]): Views[Name] => data): string[] {
  return [{}, ...variants[name]].map((variant) => render(name, change({ ...examples[name], ...variant })))
}

/** The same data with every string in it replaced, except where a string is one of a fixed set of codes. */
function withHostileText<Value>(value: Value): Value {
  return replaced(value, '')
}

function replaced<Value>(value: Value, key: string): Value {
  const codes = ['error', 'reason', 'outcome', 'code']
  if (typeof value === 'string') {
    const isCode =
      codes.includes(key) || (key === 'name' && Object.hasOwn({ ...english.scopes, ...english.claims }, value))
    return (isCode ? value : hostile) as Value
  }
  if (Array.isArray(value)) return value.map((entry) => replaced(entry, key)) as Value
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([name, entry]) => [name, replaced(entry, name)])) as Value
}

function withoutMembersOf(data: object, path: readonly string[]): object {
  const [head = '', ...rest] = path
  const { [head]: member, ...others } = data as Record<string, unknown>
  return rest.length === 0 ? others : { ...others, [head]: withoutMembersOf(member as object, rest) }
}

describe.each(names)('the %s page', (name) => {
  test('renders whatever its codes and absent members are', () => {
    for (const page of pagesOf(name)) {
      expect(page).toMatch(/^<!doctype html>\n<html lang="en" dir="ltr">/)
      expect(page).toMatch(/<title>[^<]+ · Postern<\/title>/)
      expect(page.match(/<h1/g)).toHaveLength(1)
      expect(page).not.toMatch(/undefined|\[object|NaN/)
    }
  })

  test('keeps attributes apart, and gives every id once and to whoever refers to it', () => {
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
      expect(name === 'submitting' ? page.replace(onlyScript, '') : page).not.toContain('<script')
      expect(page).not.toContain('alert("x")')
    }
  })

  test('posts each of its forms, with the token that proves the form was ours', () => {
    for (const page of pagesOf(name)) {
      for (const [form] of page.matchAll(/<form[\s\S]*?<\/form>/g)) {
        expect(form).toMatch(/^<form[^>]* method="post" action="\/[^"]+"/)
        expect(form).toMatch(/<input type="hidden" name="(csrf|xsrf)" value="token-1">/)
        if (form.includes('"csrf"')) expect(form).toContain('<input type="hidden" name="uid" value="uid-1">')
        expect(form).toMatch(/<button [^>]*type="submit"/)
      }
    }
  })

  test('throws when something it shows is missing', () => {
    const shown: { [Name in ViewName]: readonly string[] } = {
      'sign-in': ['uid', 'csrf', 'email', 'client', 'client.name'],
      'continue-as': ['uid', 'csrf', 'client', 'client.name', 'account.email'],
      consent: ['uid', 'csrf', 'client', 'client.name', 'account.email'],
      'device-code': ['action', 'xsrf'],
      'device-confirm': ['action', 'xsrf', 'userCode', 'client', 'client.name'],
      'device-done': ['client.name'],
      'sign-out': ['action', 'xsrf'],
      'signed-out': [],
      submitting: ['action'],
      error: ['code'],
      elsewhere: ['issuer', 'reason'],
      home: ['issuer', 'version'],
    }
    for (const member of shown[name]) {
      const data = withoutMembersOf(examples[name], member.split('.')) as Views[typeof name]
      expect(() => render(name, data), member).toThrow()
    }
  })
})

describe('the sign-in page', () => {
  const page = (data: Partial<Views['sign-in']>) => render('sign-in', { ...examples['sign-in'], ...data })

  test('keeps the email that was typed, never a password, and says what is wrong to a screen reader', () => {
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
    expect(page({})).toMatch(/name="email"[^>]*autocomplete="username"/)
    expect(page({})).toMatch(/name="password"[^>]*autocomplete="current-password"/)
  })
})

describe('the consent page', () => {
  const page = (data: Partial<Views['consent']>) => render('consent', { ...examples['consent'], ...data })

  test('sends a required scope although its checkbox is disabled', () => {
    const html = page({ scopes: [openid], claims: [], resources: [] })
    expect(html).toMatch(/type="checkbox" name="scope" value="openid"\s+checked disabled\s/)
    expect(html).toContain('<input type="hidden" name="scope" value="openid">')
  })

  test('leaves a scope that is not required to the person', () => {
    const html = page({ scopes: [email], claims: [], resources: [] })
    expect(html).toMatch(/type="checkbox" name="scope" value="email"/)
    expect(html).not.toMatch(/checked|disabled|type="hidden" name="scope"/)
    expect(html).toContain('<bdi>ada@example.com</bdi>')
  })

  test('names resource scopes by their resource, and claims by themselves', () => {
    const html = page({})
    expect(html).toContain('name="resource_scope" value="https://api.example.com/ read"')
    expect(html).toContain('<bdi dir="ltr">api.example.com</bdi>')
    expect(html).toContain('name="claim" value="phone_number"')
  })

  test('makes Deny the button that Enter presses', () => {
    const html = page({})
    expect(html.indexOf('name="decision" value="deny"')).toBeGreaterThan(0)
    expect(html.indexOf('name="decision" value="deny"')).toBeLessThan(html.indexOf('name="decision" value="allow"'))
  })

  const reviewed = { ...client, ...noLinks }
  const textOf = (html: string) => html.replace(/<style[\s\S]*?<\/style>|<[^>]+>/g, '').replace(/\s+/g, ' ')

  test('says when nobody has reviewed the app, and only then', () => {
    expect(page({})).not.toContain('Nobody here has reviewed this app')
    expect(page({ client: { ...reviewed, isReviewed: false } })).toContain('Nobody here has reviewed this app')
  })

  test('shows the host that says an app is its own before the app calls itself anything', () => {
    const html = page({ client: { ...noLinks, ...published } })
    expect(html).toMatch(/<title>assistant\.example asks/)
    expect(html).toMatch(/<h1><bdi class="name" dir="ltr">assistant\.example<\/bdi>/)
    expect(html).toContain('Verified by its address')
    expect(html).toContain('It calls itself <bdi>“Assistant”</bdi></p>')
    expect(html).toContain('Nobody here has reviewed this app')
    expect(html).not.toContain('It registered itself')
    expect(page({})).not.toContain('Verified')
  })

  test('shows the whole address of a document: its path may be what tells tenants of the host apart', () => {
    for (const host of ['assistant.example', 'notes.example', '127.0.0.1:33418', 'com.example.app:', '']) {
      const html = page({ client: { ...noLinks, ...published, host } })
      expect(html, host).toContain('<bdi dir="ltr">assistant.example/apps/client.json</bdi>')
    }
  })

  test('goes by the host that gets the answer, and verifies nothing, where a document is somewhere else', () => {
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
    'verifies no app that is returned to at %s, which is another host than that of its document',
    (host) => {
      expect(page({ client: { ...noLinks, ...published, host } })).not.toContain('Verified')
    },
  )

  test.each(['localhost:33418', '127.0.0.1', '[::1]:1', 'com.example.app:'])(
    'verifies no app that is returned to at %s: any app on the device could be',
    (host) => {
      const html = page({ client: { ...noLinks, ...published, host } })
      expect(html).not.toContain('Verified')
      expect(html).toContain('Any app on this device can say that it is from <bdi dir="ltr">assistant.example</bdi>')
    },
  )

  test('takes a scheme of an app’s own for nothing to trust, whoever registered the app', () => {
    for (const isReviewed of [true, false]) {
      const html = page({ client: { ...reviewed, isReviewed, host: 'com.google.android.gm:' } })
      expect(html).toContain('An app on this device')
      expect(textOf(html)).toContain('by com.google.android.gm. Any app on the device can claim that address.')
      expect(textOf(html)).not.toMatch(/Address: com|trust com|com\.google\.android\.gm:/)
    }
  })

  test('lets a stranger’s app on the device continue only for whoever has just opened it', () => {
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

  test('links to the web only', () => {
    expect(hrefs(page({ client: { ...reviewed, ...uris } }))).toEqual([uris.tosUri])
  })

  test.each<[who: string, asker: Views['consent']['client'], linked: string[]]>([
    ['a reviewed app anywhere', { ...client, ...noLinks }, ['rp.example', 'accounts.google.example']],
    ['a stranger to where the answer goes', { ...stranger, ...noLinks, host: 'rp.example' }, ['rp.example']],
    ['a stranger on the device to nowhere', { ...stranger, ...noLinks, host: 'com.rp.app:' }, []],
    ['a stranger’s device to nowhere', { ...stranger, ...noLinks, host: '' }, []],
    [
      'a document on the device to its host',
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
      'a document somewhere else not to its host',
      {
        ...published,
        ...noLinks,
        host: 'evil.example',
        logo: undefined,
        document: { host: 'rp.example', address: 'https://rp.example/c' },
      },
      [],
    ],
  ])('links for %s, and says of every page where it is', (_who, asker, linked) => {
    const html = page({
      client: { ...asker, uri: 'https://rp.example/', policyUri: 'https://accounts.google.example/privacy' },
    })
    expect(hrefs(html).map((href) => new URL(String(href)).host)).toEqual(linked)
    for (const host of ['rp.example', 'accounts.google.example']) {
      expect(html).toContain(`<span class="leads"><bdi dir="ltr">${host}</bdi></span>`)
    }
  })
})

describe('a name that a stranger chose', () => {
  const hostile = 'Acme”. You return to accounts.acme.example. It is “good" «yes» „so‟ ＂x＂ ❞'
  const pages = (name: string) =>
    names.flatMap((view) =>
      [stranger, { ...published, host: 'evil.example' }, { ...stranger, host: '' }].flatMap((asker) => {
        const data = examples[view] as { client?: object }
        return data.client ? [render(view, { ...data, client: { ...data.client, ...asker, name } } as never)] : []
      }),
    )

  test('is in quotation marks on every page that shows it, which none of its own end', () => {
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

  test('stays in an element of its own, so that its direction does not reach beyond', () => {
    for (const html of pages('שלום')) {
      const body = html.slice(html.indexOf('<body'))
      expect(
        body.replace(/<bdi[^>]*>[^<]*<\/bdi>/g, '').replace(/<span class="tile[^>]*>[^<]*<\/span>/g, ''),
      ).not.toContain('שלום')
    }
  })

  test('is no quotation where an administrator chose it', () => {
    expect(render('consent', examples.consent)).not.toContain('“Ledger”')
  })
})

test('the error page shows an OAuth error for the protocol only', () => {
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

test('a page can be in another language and direction', () => {
  const page = createViews({ lang: 'ar', dir: 'rtl' }).render('home', examples.home)
  expect(page).toContain('<html lang="ar" dir="rtl">')
})

test('assets are addressed by a version of their content', () => {
  const page = render('home', examples.home)
  const paths = [...page.matchAll(/"\/assets\/([^?"]+)\?v=([^"]+)"/g)]
  expect(paths.map(([, file]) => file)).toEqual(['favicon.svg', 'postern.css'])
  for (const [, file = '', version] of paths) {
    expect(existsSync(join(assets, file))).toBe(true)
    expect(version).toBe(versionOfAssets())
  }
})

describe('the texts', () => {
  const source = globSync('src/**/*.ts', { cwd: repository, exclude: ['src/views/**'] })
    .map((path) => readFileSync(join(repository, path), 'utf8'))
    .join('\n')

  /** Every sentence in a group of texts, as far as its placeholders. */
  function sentences(texts: object): string[] {
    return Object.values(texts).flatMap((text) =>
      typeof text === 'string' ? text.split(/\{\w+\}/).filter((part) => part.trim() !== '') : sentences(text),
    )
  }

  test('are each shown by a page', () => {
    const shown = names.flatMap((name) => pagesOf(name)).join('\n')
    for (const sentence of sentences(english)) expect(shown).toContain(sentence)
  })

  test('belong to outcomes that the code produces, and to scopes and claims that exist', () => {
    const keyed = Object.entries(english).filter(([group]) => !['links', 'durations'].includes(group))
    const unused = keyed.flatMap(([group, texts]) =>
      Object.keys(texts)
        .filter((key) => !new RegExp(`'${key}'|\\b${key}: `).test(source))
        .map((key) => `${group}.${key}`),
    )
    expect(unused).toEqual([])
  })

  test('exist for every claim that a scope releases, and for no other', () => {
    const released = Object.values(scopes).flatMap(({ claims }) => Object.keys(claims))
    expect(new Set([...Object.keys(english.claims), 'sub'])).toEqual(new Set(released))
  })

  test('count one and many', () => {
    const wait = (retryAfterSeconds: number) =>
      render('sign-in', { ...examples['sign-in'], error: 'too-many-attempts', retryAfterSeconds })
    expect(wait(1)).toContain('Please try again in 1 second.')
    expect(wait(89)).toContain('Please try again in 89 seconds.')
    expect(wait(91)).toContain('Please try again in 2 minutes.')
  })
})

describe('templates', () => {
  const directory = join(assets, '..')
  const files = readdirSync(directory).filter((file) => file.endsWith('.njk'))

  test('each page has one, and there are none besides the parts they share', () => {
    expect(files.sort()).toEqual([...names, 'layout', 'parts'].map((name) => `${name}.njk`).sort())
  })

  test.each(files)('%s neither escapes the escaping nor needs more than the content security policy allows', (file) => {
    const source = readFileSync(join(directory, file), 'utf8')
    expect(source).not.toMatch(/\|\s*safe\b/)
    expect(source).not.toMatch(/autoescape/)
    expect(file === 'submitting.njk' ? source.replace(onlyScript, '') : source).not.toMatch(/<script/i)
    expect(source).not.toMatch(/<style/i)
    expect(source).not.toMatch(/\sstyle\s*=/i)
    expect(source).not.toMatch(/\son[a-z]+\s*=/i)
    expect(source).not.toMatch(/(src|href)="(https?:)?\/\//i)
  })

  test('the style sheet loads nothing from elsewhere', () => {
    expect(readFileSync(join(assets, 'postern.css'), 'utf8')).not.toMatch(/@import|url\(/)
  })
})
