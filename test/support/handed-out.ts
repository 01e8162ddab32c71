import { expect } from 'vitest'
import { adminToken, call, createAdministrator } from './admin.ts'
import type { Scene } from './circulation.ts'
import { operate } from './operator.ts'
import { login } from './relying-party.ts'
import { basic, send } from './wire.ts'

const redirect_uris = ['https://rp.example/cb']

/** Lets an administrator issue one secret of every kind and a client register itself, and collects all secrets. */
export async function handOut(scene: Scene): Promise<void> {
  for (const work of [register, rotateSecrets, administer]) {
    await work(scene)
    await scene.afterStep()
  }
}

async function register(scene: Scene): Promise<void> {
  const { postern, canaries, email, afterStep } = scene
  const made = (await operate(postern, 'registration-token create', {})) as Record<string, unknown>
  canaries.collectFrom({ json: made })
  const bearer = String(made['initial_access_token'])
  const answer = await send(postern, '/oauth/register', { bearer, body: { client_name: 'Self-made', redirect_uris } })
  expect(answer.status, answer.text).toBe(201)
  canaries.collectFrom(answer)
  await afterStep()
  const { client_id, client_secret, registration_access_token } = answer.json
  const renamed = await send(postern, `/oauth/register/${client_id}`, {
    method: 'PUT',
    bearer: String(registration_access_token),
    body: { client_id, client_secret, redirect_uris, client_name: 'Renamed' },
  })
  expect(renamed.status, renamed.text).toBe(200)
  canaries.collectFrom(renamed)
  const client = { ...renamed.json, client_id: String(client_id), client_secret }
  await login(postern, client, { email, visitor: canaries.visitor(postern.issuer) })
}

/** Gives a client three secrets one after the other, of which the last two are valid. */
async function rotateSecrets({ postern, canaries }: Scene): Promise<void> {
  const client = await postern.createClient({
    grant_types: ['client_credentials'],
    redirect_uris: [],
    response_types: [],
  })
  const { client_id } = client
  canaries.collect('replaced client_secret', client['client_secret'])
  const rotated = (await operate(postern, 'client rotate-secret', { client_id })) as Record<string, unknown>
  canaries.collect('previous client_secret', rotated['client_secret'])
  const chosen = canaries.plant('chosen client_secret')
  await operate(postern, 'client set-secret', { client_id, client_secret: chosen })
  for (const secret of [rotated['client_secret'], chosen]) {
    const authorization = basic(client_id, String(secret))
    const form = { grant_type: 'client_credentials' }
    const answer = await send(postern, '/oauth/token', { headers: { authorization }, form })
    expect(answer.status, answer.text).toBe(200)
    canaries.collectFrom(answer)
  }
}

/** Uses the admin API, where an answer with a secret is stored to be repeated. */
async function administer({ postern, canaries }: Scene): Promise<void> {
  const administrator = await createAdministrator(postern)
  canaries.collect('client_secret of an administrator', administrator['client_secret'])
  const bearer = await adminToken(postern, administrator)
  canaries.collect('access_token of an administrator', bearer)
  const headers = { 'idempotency-key': canaries.plant('idempotency key') }
  for (const repetition of [false, true]) {
    const made = await call(postern, '/clients', { bearer, headers, body: { client_name: 'Twice', redirect_uris } })
    expect([made.status, made.headers.has('idempotent-replayed')], made.text).toEqual([201, repetition])
    canaries.collect('client_secret in a stored answer', made.json['client_secret'])
  }
  const password = canaries.plant('password of an account')
  const account = await call(postern, '/accounts', { bearer, body: { email: 'grace@example.com', password } })
  expect(account.status, account.text).toBe(201)
  const next = canaries.plant('newly set password')
  const set = await call(postern, '/accounts/grace@example.com/password', {
    method: 'PUT',
    bearer,
    body: { password: next },
  })
  expect(set.status, set.text).toBe(200)
  const list = await call(postern, '/clients?limit=1', { bearer })
  canaries.collect('cursor', list.json['next_cursor'])
}
