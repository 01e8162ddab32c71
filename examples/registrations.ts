import { randomBytes } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseEnv } from 'node:util'
import { operations } from '../src/admin/operations.ts'
import type { Postern } from '../src/server.ts'

export type Registered = { account: Values; relyingParty: Values; resourceServer: Values }
type Values = Record<string, string>
type Place = { dataDir: string; issuer: string; baseUrl: string; resource: string }

/**
 * Registers what the examples need, through the operations that the command line is made of. What is made only
 * once, passwords and secrets, is kept in `DATA_DIR/<name>.env`, so that the next start finds it and each example
 * can be run alone with it: `node --env-file`.
 */
export async function register(postern: Postern, { dataDir, issuer, baseUrl, resource }: Place): Promise<Registered> {
  const relyingParty = await client('relying-party', {
    name: 'Field Notes',
    'redirect-uri': `${baseUrl}/callback`,
    'post-logout-redirect-uri': `${baseUrl}/signed-out`,
    metadata: {
      client_uri: baseUrl,
      backchannel_logout_uri: `${baseUrl}/backchannel-logout`,
      backchannel_logout_session_required: true,
    },
  })
  const resourceServer = await client('resource-server', { name: 'Field Notes API' })
  await run('resource', 'create', {
    identifier: resource,
    name: 'Field Notes API',
    scopes: 'profile=Read and keep your field notes',
    'client-id': resourceServer['CLIENT_ID'],
  })
  const machine = await client('machine', { name: 'Nightly report', scope: 'profile' })
  const device = await client('device', {
    name: 'Terminal',
    'grant-type': 'urn:ietf:params:oauth:grant-type:device_code',
    'auth-method': 'none',
  })
  await keep('relying-party', { ...relyingParty, BASE_URL: baseUrl, PORT: portOf(baseUrl), API_URL: resource })
  await keep('resource-server', { ...resourceServer, RESOURCE: resource, PORT: portOf(resource) })
  await keep('machine', { ...machine, RESOURCE: resource, SCOPE: 'profile' })
  await keep('device', device)
  return { account: await account('ada@example.com'), relyingParty, resourceServer }

  /** Registers a client, or brings the one of last time up to date, with the secret it has. */
  async function client(name: string, { metadata = {}, ...input }: Record<string, unknown>): Promise<Values> {
    const kept = await read(name)
    const known = (await run('client', 'list', { limit: 1_000 })) as { id: string; disabled: boolean }[]
    const isKnown = known.some(({ id, disabled }) => id === kept['CLIENT_ID'] && !disabled)
    const { CLIENT_ID: client_id, CLIENT_SECRET: client_secret } = isKnown ? kept : {}
    const same = { ...(client_id && { client_id }), ...(client_secret && { client_secret }) }
    const created = (await run('client', 'create', {
      ...input,
      metadata: JSON.stringify({ ...(metadata as object), ...same }),
    })) as { client_id: string; client_secret?: string }
    const values = {
      ISSUER: issuer,
      CLIENT_ID: created.client_id,
      ...(created.client_secret && { CLIENT_SECRET: created.client_secret }),
    }
    await keep(name, values)
    return values
  }

  /** Creates an account, with the password of last time where there is one. */
  async function account(email: string): Promise<Values> {
    const kept = await read('account')
    const PASSWORD = kept['PASSWORD'] ?? randomBytes(9).toString('base64url')
    const known = (await run('account', 'list', { limit: 1_000 })) as { email: string }[]
    const isKnown = known.some((one) => one.email === email)
    await keep('account', { EMAIL: email, PASSWORD })
    if (!isKnown) {
      const claims = { given_name: 'Ada', family_name: 'Lovelace', birthdate: '1815-12-10', locale: 'en-GB' }
      await run('account', 'create', {
        email,
        password: PASSWORD,
        name: 'Ada Lovelace',
        claims: JSON.stringify(claims),
      })
    } else if (!kept['PASSWORD']) {
      await run('account', 'set-password', { email, password: PASSWORD })
    }
    return { EMAIL: email, PASSWORD }
  }

  function run(noun: string, verb: string, input: object): Promise<unknown> {
    const operation = operations().find((one) => one.noun === noun && one.verb === verb)
    if (!operation) throw new Error(`There is no ${noun} ${verb}.`)
    return operation.run(postern, operation.input.parse(input))
  }

  async function read(name: string): Promise<Values> {
    const text = await readFile(join(dataDir, `${name}.env`), 'utf8').catch(() => '')
    return parseEnv(text) as Values
  }

  async function keep(name: string, values: Values): Promise<void> {
    const text = Object.entries(values).map(([key, value]) => `${key}=${value}\n`)
    await writeFile(join(dataDir, `${name}.env`), text.join(''), { mode: 0o600 }) // they hold secrets
  }
}

const portOf = (url: string) => new URL(url).port
