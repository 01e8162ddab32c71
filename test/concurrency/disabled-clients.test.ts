import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ClientMetadata } from '../../src/stores/clients/clients.ts'
import { type Fleet, type ServerProcess, startFleet } from '../support/processes.ts'
import { expectNoFailures, isActive, token } from './journey.ts'
import { count, createTally, overlap, patienceMs, printTable, rounds, settle } from './race.ts'

const [opaque, signed] = ['https://opaque.example/', 'https://signed.example/']
const machine = {
  grant_types: ['client_credentials'],
  redirect_uris: [],
  response_types: [],
  scope: 'read',
  resources: [opaque, signed],
}
let fleet: Fleet
let api: ClientMetadata

beforeAll(async () => {
  fleet = await startFleet()
  api = await fleet.createClient({ ...machine, scope: 'openid' })
  const settings = { scopes: { read: 'Read' }, client_id: api.client_id }
  await fleet.operate('resource create', { identifier: opaque, ...settings })
  await fleet.operate('resource create', { identifier: signed, ...settings, token_format: 'jwt' })
})
afterAll(async () => {
  printTable()
  await fleet?.stop()
})

const ask = (server: ServerProcess, client: ClientMetadata, resource: string) =>
  token(server, client, { grant_type: 'client_credentials', scope: 'read', resource })

/** This race needs more rounds than the others: a notification is faster than most of the work that it overlaps. */
const instants = rounds * 10

describe.each(['disable', 'delete'])('a client that an operator is about to %s', (verb) => {
  test('gets no token that still works afterwards, and none at all once the operation is done, from any process', {
    timeout: patienceMs * 4,
  }, async () => {
    const tally = createTally(`client_credentials ∥ client ${verb}`)
    for (let round = 0; round < instants; round++) {
      const client = await fleet.createClient(machine)
      const [asked = fleet.processes[0], other = fleet.processes[1]] =
        round % 2 ? fleet.processes : fleet.processes.toReversed()
      // These requests make both processes know the client.
      for (const server of [asked, other]) expect((await ask(server, client, opaque)).status).toBe(200)

      let atOnce: Promise<Awaited<ReturnType<typeof ask>>[]> | undefined
      const [answer] = await overlap(
        round,
        () => ask(asked, client, opaque),
        async () => {
          await fleet.operate(`client ${verb}`, { client_id: client.client_id })
          atOnce = Promise.all(
            fleet.processes.flatMap((server) => [opaque, signed].map((resource) => ask(server, client, resource))),
          )
        },
      )
      const { winners, losers } = settle(tally, [answer])
      for (const loser of losers) expect(loser).toBe('401 invalid_client')
      for (const { json } of winners) {
        for (const server of fleet.processes) {
          expect(await isActive(server, api, String(json['access_token']))).toBe(false)
        }
      }
      for (const late of (await atOnce) ?? []) {
        count(tally.afterwards, `${late.status} ${late.error}`)
        expect(late).toMatchObject({ status: 401, error: 'invalid_client' })
      }
    }
    expectNoFailures(fleet)
  })
})
