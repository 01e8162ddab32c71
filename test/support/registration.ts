import { expect } from 'vitest'
import type { ClientMetadata } from '../../src/stores/clients/clients.ts'
import { idTokenMetadata } from './id-tokens.ts'
import { operate } from './operator.ts'
import type { TestPostern } from './postern.ts'
import { type Answer, send } from './wire.ts'

/** A client that registered itself, with the token and address that manage it (RFC 7592 §3). */
export type Registered = ClientMetadata & { registration_access_token: string; registration_client_uri: string }

export const redirect_uris = ['https://rp.example/cb']

/** Creates an initial access token as an operator does. */
export async function createToken(
  postern: TestPostern,
  input: { policy?: string; uses?: number; expires?: Date } = {},
): Promise<string> {
  const made = (await operate(postern, 'registration-token create', input)) as { initial_access_token: string }
  return made.initial_access_token
}

/** Saves a policy and creates a token for it. */
export async function createPolicy(postern: TestPostern, name: string, rules: object): Promise<string> {
  await operate(postern, 'registration-policy set', { name, rules })
  return createToken(postern, { policy: name })
}

/** Sends a registration as it is on the wire (RFC 7591 §3.1). Without `bearer` it is anonymous. */
export const register = (postern: { issuer: string }, body: unknown, bearer?: string): Promise<Answer> =>
  send(postern, '/oauth/register', { ...(bearer !== undefined && { bearer }), body })

/** Registers a client by its own request. */
export async function registered(
  postern: { issuer: string },
  bearer: string | undefined,
  metadata: Record<string, unknown> = {},
): Promise<Registered> {
  const { status, json, text } = await register(
    postern,
    { client_name: 'Self-made', redirect_uris, ...idTokenMetadata, ...metadata },
    bearer,
  )
  expect(status, text).toBe(201)
  return json as Registered
}

/** Manages a registration as the client does (RFC 7592 §2), by default with the token that it got. */
export function manage(
  postern: { issuer: string },
  client: Registered,
  method: 'GET' | 'PUT' | 'DELETE',
  body?: object,
  bearer: string = client.registration_access_token,
): Promise<Answer> {
  return send(postern, new URL(client.registration_client_uri).pathname, {
    method,
    bearer,
    ...(body !== undefined && { body: { client_id: client.client_id, ...body } }),
  })
}

/** Updates a registration, and returns the client with the token that it got in exchange. */
export async function updated(
  postern: { issuer: string },
  client: Registered,
  metadata: Record<string, unknown> = {},
): Promise<Registered> {
  const { status, json, text } = await manage(postern, client, 'PUT', {
    redirect_uris,
    ...idTokenMetadata,
    ...metadata,
  })
  expect(status, text).toBe(200)
  return json as Registered
}
