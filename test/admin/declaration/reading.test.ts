import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { read } from '../../../src/admin/declaration/reading.ts'
import { OperationError } from '../../../src/admin/operation.ts'

const long = 'a secret that is long enough to be one'
const reading = (...texts: string[]) =>
  read(
    texts.map((text, index) => ({ name: `${'abc'[index]}.yaml`, text })),
    async ({ env = '' }) => {
      if (env === 'UNSET') throw new OperationError('invalid', 'the environment variable UNSET is not set')
      return env === 'SHORT' ? 'sesame' : long
    },
  )

/** Returns the mistakes that are reported of a declaration, one a line. */
async function faults(...texts: string[]): Promise<string[]> {
  const refusal = await reading(...texts).then(
    () => undefined,
    (error: unknown) => error,
  )
  if (!(refusal instanceof OperationError)) throw refusal ?? new Error('nothing was refused')
  return refusal.message.split('\n').slice(0, -1)
}

const clients = (text: string) => `version: 1\nclients:\n  web: ${text}`

describe('a declaration', () => {
  test.each([
    ['is empty', '', 'a.yaml:1:1: must be a mapping'],
    ['has no version', 'clients: {}', 'a.yaml:1:1: version: is missing'],
    ['has a future version', 'version: 2', 'a.yaml:1:1: version: must be 1'],
    ['is not YAML', 'version: 1\nclients: [', /^a\.yaml:2:11: Flow sequence .* end with a \]$/],
    ['is indented with tabs', 'version: 1\nclients:\n\tweb: {}', /^a\.yaml:3:1: Tabs are not allowed as indentation/],
    ['is two documents', 'version: 1\n---\nversion: 1', 'a.yaml:2:1: there is more than one document'],
    ['gives a member twice', 'version: 1\nclients: {}\nclients: {}', 'a.yaml:3:1: Map keys must be unique'],
    ['has an unknown tag', 'version: !new 1', 'a.yaml:1:10: Unresolved tag'],
    [
      'has a name with a special meaning in JavaScript',
      clients('{}\n  __proto__: {}'),
      'a.yaml:4:3: __proto__ cannot be a name',
    ],
    ['has an unknown section', 'version: 1\nclient: {}', 'a.yaml:2:1: client: is unknown; did you mean clients?'],
    ['has a member that resembles no known one', clients('{ zzz: 1 }'), 'a.yaml:3:10: clients.web.zzz: is unknown'],
    [
      'misspells a member',
      clients('{ redirect_uri: [] }'),
      'a.yaml:3:10: clients.web.redirect_uri: is unknown; did you mean redirect_uris?',
    ],
    [
      'misspells a rule',
      'version: 1\npolicies: { a: { max_client: 1 } }',
      'a.yaml:2:18: policies.a.max_client: is unknown; did you mean max_clients?',
    ],
    [
      'misspells a rule within a rule',
      'version: 1\npolicies: { a: { redirect_uris: { host: x } } }',
      'a.yaml:2:35: policies.a.redirect_uris.host: is unknown; did you mean hosts?',
    ],
    [
      'sets a member that only the server sets',
      clients('{ client_id_issued_at: 1 }'),
      'a.yaml:3:10: clients.web.client_id_issued_at: is unknown',
    ],
    [
      'has a single value in place of a list',
      clients('{ redirect_uris: https://a.example/ }'),
      'a.yaml:3:10: clients.web.redirect_uris: must be a list',
    ],
    [
      'has a wrong item in a list',
      clients('{ redirect_uris: [https://a.example/, 7] }'),
      'a.yaml:3:46: clients.web.redirect_uris[1]: must be a string',
    ],
    ['has no value for a member', clients(''), 'a.yaml:3:3: clients.web: must be a mapping'],
    [
      'has a value that is not one of the choices',
      clients('{ application_type: mobile }'),
      'a.yaml:3:10: clients.web.application_type: must be "web" or "native"',
    ],
    [
      'has a value of neither permitted type',
      'version: 1\npolicies: { a: { uri_hosts: 1 } }',
      'a.yaml:2:18: policies.a.uri_hosts: must be "*" or a list',
    ],
    [
      'lists an invalid host name',
      'version: 1\npolicies: { a: { uri_hosts: [A_] } }',
      /^a\.yaml:2:30: policies\.a\.uri_hosts\[0\]: must be a host name/,
    ],
    [
      'has a policy with an invalid name',
      'version: 1\npolicies: { A: {} }',
      'a.yaml:2:13: policies.A: must be lower-case letters, digits and hyphens',
    ],
    [
      'has a resource without scopes',
      'version: 1\nresources: { https://a.example: {} }',
      'a.yaml:2:14: resources["https://a.example"].scopes: is missing',
    ],
    [
      'has a resource that is not a URI',
      'version: 1\nresources: { api: { scopes: { a: b } } }',
      'a.yaml:2:14: resources.api: must be an absolute URI',
    ],
    [
      'has a client id that would refer to a document',
      'version: 1\nclients: { https://a.example: {} }',
      'a.yaml:2:12: clients["https://a.example"]: must not be an http(s) URL',
    ],
    [
      'contains a secret itself',
      clients(`{ client_secret: ${long} }`),
      'a.yaml:3:10: clients.web.client_secret: must be a mapping',
    ],
    [
      'gives two places for a secret',
      clients('{ client_secret: { env: A, file: b } }'),
      'a.yaml:3:10: clients.web.client_secret: must have either env or file',
    ],
    [
      'refers to a secret that does not exist',
      clients('{ client_secret: { env: UNSET } }'),
      'a.yaml:3:10: clients.web.client_secret: the environment variable UNSET is not set',
    ],
    [
      'refers to a secret that could be guessed',
      clients('{ client_secret: { env: SHORT } }'),
      'a.yaml:3:10: clients.web.client_secret: must have at least 32 characters',
    ],
  ])('that %s is refused, with the position of the mistake', async (_, text, expected) => {
    expect(await faults(text)).toEqual([typeof expected === 'string' ? expected : expect.stringMatching(expected)])
  })

  test('has all its mistakes reported at once, in the order of their positions', async () => {
    expect(await faults(clients('{ b: 1, redirect_uris: 2 }\n  other: { disabled: maybe }\npolices: {}'))).toEqual([
      'a.yaml:3:10: clients.web.b: is unknown',
      'a.yaml:3:16: clients.web.redirect_uris: must be a list',
      'a.yaml:4:12: clients.other.disabled: must be a boolean',
      'a.yaml:5:1: polices: is unknown; did you mean policies?',
    ])
  })

  test('never has a value of it repeated in a message', async () => {
    const lines = await faults(clients(`{ client_secret: { env: 7, file: [${long}] }, contacts: ${long} }`))
    expect(lines.length).toBeGreaterThan(1)
    expect(lines.join('\n')).not.toContain(long)
  })

  test('may use aliases and anchors of YAML', async () => {
    const text = 'version: 1\nclients:\n  a: &shared { contacts: [a@a.example] }\n  b: *shared'
    expect((await reading(text)).declaration.clients?.['b']?.contacts).toEqual(['a@a.example'])
    expect(await faults('version: 1\nclients:\n  a: &shared { contact: [] }\n  b: *shared')).toEqual([
      'a.yaml:3:16: clients.a.contact: is unknown; did you mean contacts?',
      'a.yaml:3:16: clients.b.contact: is unknown; did you mean contacts?',
    ])
  })

  test('has its names read as text, even if YAML could read them as something different', async () => {
    const { declaration } = await reading('version: 1\nclients: { 0x10: {}, true: {}, 1e3: {} }')
    expect(Object.keys(declaration.clients ?? {})).toEqual(['0x10', 'true', '1e3'])
  })

  test('may be JSON', async () => {
    expect((await reading('{"version":1,"clients":{"web":{}}}')).declaration.clients).toHaveProperty('web')
  })
})

describe('docs/declarative.md', () => {
  test('shows only declarations that can be read', async () => {
    const document = readFileSync(join(import.meta.dirname, '../../../docs/declarative.md'), 'utf8')
    const examples = [...document.matchAll(/```yaml\n(.*?)```/gs)].map(([, text = '']) => text)
    expect(examples.length).toBeGreaterThan(1)
    for (const example of examples) await expect(reading(example)).resolves.toHaveProperty('declaration')
  })
})

describe('several declarations', () => {
  test('are read as one, and each mistake is reported with its own file', async () => {
    const { declaration, locate } = await reading(clients('{}'), 'version: 1\nclients:\n  app: {}\npolicies: {}')
    expect(Object.keys(declaration.clients ?? {})).toEqual(['web', 'app'])
    expect(declaration).toHaveProperty('policies')
    expect(declaration).not.toHaveProperty('resources')
    expect(locate({ path: ['clients', 'app', 'scope'], message: 'no' })).toBe('b.yaml:3:3: clients.app.scope: no')
    expect(locate({ path: ['policies', 'gone'], message: 'no' })).toBe('policies.gone: no')
  })

  test('must not declare the same thing twice, not even identically', async () => {
    expect(await faults(clients('{}'), `# second\n${clients('{}')}`)).toEqual([
      'b.yaml:4:3: clients.web: is already declared at a.yaml:3:3',
    ])
  })

  test('have their mistakes reported together', async () => {
    expect(await faults('version: 2', 'version: 3')).toEqual([
      'a.yaml:1:1: version: must be 1',
      'b.yaml:1:1: version: must be 1',
    ])
  })
})
