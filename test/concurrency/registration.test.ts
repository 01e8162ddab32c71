import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ClientMetadata } from '../../src/stores/clients/clients.ts'
import { type Fleet, type ServerProcess, startFleet } from '../support/processes.ts'
import { type Answer, call, expectNoFailures } from './journey.ts'
import { createTally, overlap, patienceMs, printTable, race, rounds, settle } from './race.ts'

const redirect_uris = ['https://rp.example/cb']
const perAddress = 5

let fleet: Fleet

beforeAll(async () => {
  fleet = await startFleet({
    OPEN_REGISTRATION: 'true',
    OPEN_REGISTRATIONS_PER_ADDRESS_PER_HOUR: String(perAddress),
    OPEN_REGISTRATIONS_PER_HOUR: '1000',
  })
})
afterAll(async () => {
  printTable()
  await fleet?.stop()
})

const either = (index: number): ServerProcess => fleet.processes[index % 2] ?? fleet.processes[0]
const isCreated = ({ status }: Answer) => status === 201

async function createToken(input: { policy?: string; uses?: number } = {}): Promise<string> {
  return String((await fleet.operate('registration-token create', input))['initial_access_token'])
}

const register = (server: ServerProcess, token?: string): Promise<Answer> =>
  call(server, '/oauth/register', { ...(token !== undefined && { token }), json: { redirect_uris } })

const manage = (server: ServerProcess, client: ClientMetadata, method: string, json?: object): Promise<Answer> =>
  call(server, `/oauth/register/${client.client_id}`, {
    method,
    token: String(client['registration_access_token']),
    ...(json && { json: { client_id: client.client_id, ...json } }),
  })

async function registered(): Promise<ClientMetadata> {
  const answer = await register(fleet.processes[0], await createToken({ uses: 1 }))
  expect(answer.status).toBe(201)
  return answer.json as ClientMetadata
}

/** Counts the traces of registrations: clients, the tokens that manage them, and audit events. */
async function traces(): Promise<unknown> {
  const [row] = await fleet.database.query(
    `select (select count(*)::int from clients) as clients,
       (select count(*)::int from artifacts where model = 'RegistrationAccessToken') as tokens,
       (select count(*)::int from audit_events where type like 'client.%') as lines`,
  )
  return row
}

describe('RFC 7591 §3: an initial access token', () => {
  test('creates one client if it is for one, and the other requests leave no trace', {
    timeout: patienceMs,
  }, async () => {
    const tally = createTally('one-use registration token')
    for (let round = 0; round < rounds; round++) {
      const token = await createToken({ uses: 1 })
      const before = (await traces()) as Record<string, number>
      const answers = await race(fleet, (server) => register(server, token))
      const { winners, losers } = settle(tally, answers, isCreated)
      expect(winners).toHaveLength(1)
      expect(new Set(losers)).toEqual(new Set(['401 invalid_token']))
      const after = Object.fromEntries(Object.entries(before).map(([name, count]) => [name, count + 1]))
      expect(await traces()).toEqual(after)
    }
    expectNoFailures(fleet)
  })

  test('creates no more clients at once than its policy has room for', { timeout: patienceMs }, async () => {
    const tally = createTally('last place of a policy')
    for (let round = 0; round < Math.ceil(rounds / 2); round++) {
      const policy = `narrow-${round}`
      await fleet.operate('registration-policy set', { name: policy, rules: { max_clients: 2 } })
      const token = await createToken({ policy })
      const answers = await race(fleet, (server) => register(server, token))
      const { winners, losers } = settle(tally, answers, isCreated)
      expect(winners).toHaveLength(2)
      expect(new Set(losers)).toEqual(new Set(['400 invalid_client_metadata']))
      const [row] = await fleet.database.query('select uses from registration_tokens where policy = $1', [policy])
      expect(row).toEqual({ uses: 2 })
    }
    expectNoFailures(fleet)
  })
})

describe('the limit of open registrations', () => {
  test('is shared by all processes, however many requests come at once', { timeout: patienceMs }, async () => {
    const tally = createTally('open registration')
    for (let round = 0; round < Math.ceil(rounds / 2); round++) {
      await fleet.database.query('delete from throttles')
      const { winners, losers } = settle(tally, await race(fleet, (server) => register(server)), isCreated)
      expect(winners).toHaveLength(perAddress)
      expect(new Set(losers)).toEqual(new Set(['429 temporarily_unavailable']))
    }
    expectNoFailures(fleet)
  })
})

describe('RFC 7592 §2.2: while a client updates itself', () => {
  test('a rotation of its secret by an administrator holds', { timeout: patienceMs }, async () => {
    const tally = createTally('client PUT ∥ operator rotates secret')
    for (let round = 0; round < rounds; round++) {
      const client = await registered()
      const [answer, rotated] = await overlap(
        round,
        () => manage(either(round), client, 'PUT', { redirect_uris }),
        () => fleet.operate('client rotate-secret', { client_id: client.client_id }),
      )
      const { losers } = settle(tally, [answer])
      for (const loser of losers) expect(loser).toBe('409 invalid_request')
      // A rejected update can be repeated: its token was not used.
      const again = answer.status === 200 ? (answer.json as ClientMetadata) : client
      const next = await manage(either(round + 1), again, 'PUT', {
        redirect_uris,
        client_secret: rotated['client_secret'],
      })
      expect(next.status).toBe(200)
    }
    expectNoFailures(fleet)
  })

  test('an administrator’s decision to disable it holds', { timeout: patienceMs }, async () => {
    const tally = createTally('client PUT ∥ operator disables')
    for (let round = 0; round < rounds; round++) {
      const client = await registered()
      const [answer] = await overlap(
        round,
        () => manage(either(round), client, 'PUT', { redirect_uris }),
        () => fleet.operate('client disable', { client_id: client.client_id }),
      )
      const { losers } = settle(tally, [answer])
      for (const loser of losers) expect(loser).toBe('401 invalid_token')
      for (const server of fleet.processes) {
        const current = answer.status === 200 ? (answer.json as ClientMetadata) : client
        expect(await manage(server, current, 'GET')).toMatchObject({ status: 401, error: 'invalid_token' })
      }
      const [row] = await fleet.database.query('select disabled_at from clients where id = $1', [client.client_id])
      expect(row?.['disabled_at']).toBeInstanceOf(Date)
    }
    expectNoFailures(fleet)
  })
})
