import { randomBytes } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseEnv } from 'node:util'
import { execute } from '../src/admin/execute.ts'
import { OperationError } from '../src/admin/operation.ts'
import { operations } from '../src/admin/operations/index.ts'
import type { Postern } from '../src/assemble/index.ts'

export type Registrations = { account: Values; relyingParty: Values; resourceServer: Values }
type Values = Record<string, string>
type Registered = { client_id: string; client_secret?: string | undefined }
type Place = { dataDir: string; issuer: string; baseUrl: string; resource: string }

/** The scope of the API. Its name begins with the API's subject, so that no other API has the same one. */
const scope = 'notes:read'

/**
 * Registers everything that the examples need, through the operations behind the command line. Passwords and secrets,
 * which are created only once, are kept in `DATA_DIR/<name>.env`: the next start finds them there, and each example can
 * run alone with its file (`node --env-file`).
 */
export async function register(
  postern: Postern,
  { dataDir, issuer, baseUrl, resource }: Place,
): Promise<Registrations> {
  const relyingParty = await client('relying-party', {
    client_name: 'Field Notes',
    redirect_uris: [`${baseUrl}/callback`],
    post_logout_redirect_uris: [`${baseUrl}/signed-out`],
    client_uri: baseUrl,
    backchannel_logout_uri: `${baseUrl}/backchannel-logout`,
    backchannel_logout_session_required: true,
  })
  const resourceServer = await api('resource-server')
  const machine = await client('machine', { client_name: 'Nightly report', scope, resources: [resource] })
  const device = await client('device', {
    client_name: 'Terminal',
    grant_types: ['urn:ietf:params:oauth:grant-type:device_code'],
    token_endpoint_auth_method: 'none',
  })
  await keep('relying-party', { ...relyingParty, BASE_URL: baseUrl, PORT: portOf(baseUrl), API_URL: resource })
  await keep('resource-server', { ...resourceServer, RESOURCE: resource, PORT: portOf(resource) })
  await keep('machine', { ...machine, RESOURCE: resource, SCOPE: scope })
  await keep('device', device)
  return { account: await account('ada@example.com'), relyingParty, resourceServer }

  /** Registers a client, or updates the existing one and keeps its secret. */
  async function client(name: string, metadata: Record<string, unknown>): Promise<Values> {
    const { CLIENT_ID: client_id, CLIENT_SECRET } = await read(name)
    const isKnown = client_id !== undefined && (await isThere('client show', { client_id }))
    const registered = (await run(isKnown ? 'client update' : 'client create', {
      ...metadata,
      ...(isKnown && { client_id }),
    })) as Registered
    return keepCredentials(name, { ...registered, client_secret: registered.client_secret ?? CLIENT_SECRET })
  }

  /** Creates the API with its credentials. They are shown once, so if they were lost, the API is created again. */
  async function api(name: string): Promise<Values> {
    const { CLIENT_ID: client_id, CLIENT_SECRET: client_secret } = await read(name)
    const about = { identifier: resource, name: 'Field Notes API', scopes: { [scope]: 'Read your field notes' } }
    if (await isThere('resource show', { identifier: resource })) {
      if (client_id !== undefined && client_secret !== undefined && (await isThere('client show', { client_id }))) {
        await run('resource update', about)
        return keepCredentials(name, { client_id, client_secret })
      }
      await run('resource delete', { identifier: resource })
    }
    return keepCredentials(name, (await run('resource create', about)) as Registered)
  }

  async function keepCredentials(name: string, { client_id, client_secret }: Registered): Promise<Values> {
    const values = { ISSUER: issuer, CLIENT_ID: client_id, ...(client_secret && { CLIENT_SECRET: client_secret }) }
    await keep(name, values)
    return values
  }

  /** Creates an account, with the password of the previous start if there is one. */
  async function account(email: string): Promise<Values> {
    const kept = await read('account')
    const PASSWORD = kept['PASSWORD'] ?? randomBytes(9).toString('base64url')
    const isKnown = await isThere('account show', { account: email })
    await keep('account', { EMAIL: email, PASSWORD })
    if (!isKnown) {
      const claims = { given_name: 'Ada', family_name: 'Lovelace', birthdate: '1815-12-10', locale: 'en-GB' }
      await run('account create', { email, email_verified: true, password: PASSWORD, name: 'Ada Lovelace', claims })
    } else if (!kept['PASSWORD']) {
      await run('account set-password', { account: email, password: PASSWORD })
    }
    return { EMAIL: email, PASSWORD }
  }

  async function isThere(command: string, input: object): Promise<boolean> {
    return run(command, input).then(
      () => true,
      (error) => {
        if (error instanceof OperationError && error.kind === 'not-found') return false
        throw error
      },
    )
  }

  function run(command: string, input: object): Promise<unknown> {
    const operation = operations().find(({ noun, verb }) => `${noun} ${verb}` === command)
    if (!operation) throw new Error(`There is no ${command}.`)
    return execute(operation, postern, input, { actor: 'operator:demo' })
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
