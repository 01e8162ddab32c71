import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { operate } from '../support/operator.ts'
import { startPostern, type TestPostern } from '../support/postern.ts'
import { basic, send } from '../support/wire.ts'

let postern: TestPostern
beforeAll(async () => {
  postern = await startPostern()
})
afterAll(() => postern?.stop())

const machine = { grant_types: ['client_credentials'], redirect_uris: [], response_types: [] }
const chosen = 'chosen by the operator of a vault, 32 and more'

async function opens(id: string, secret: unknown): Promise<boolean> {
  const authorization = basic(id, String(secret))
  const form = { grant_type: 'client_credentials' }
  return (await send(postern, '/oauth/token', { headers: { authorization }, form })).status === 200
}

describe('postern client set-secret', () => {
  test('warns of characters that not every library encodes', async () => {
    const { client_id } = await postern.createClient()
    const plain = await operate(postern, 'client set-secret', { client_id, client_secret: `${'aZ09._*-'.repeat(5)}` })
    expect(plain).not.toHaveProperty('warning')
    for (const character of ['+', '%', ':', '/', '=', '&', '~', '"', ' ']) {
      const client_secret = `${'a'.repeat(40)}${character}b`
      const answer = await operate(postern, 'client set-secret', { client_id, client_secret }).catch((error) => error)
      expect([character, answer]).toEqual([
        character,
        expect.objectContaining({ warning: expect.stringContaining('client_secret_basic') }),
      ])
      expect(JSON.stringify(answer)).not.toContain(client_secret)
    }
  })

  test('makes the given secret valid, and keeps the previous one valid for the overlap', async () => {
    const { client_id, client_secret } = await postern.createClient(machine)
    await operate(postern, 'client set-secret', { client_id, client_secret: chosen, overlap_seconds: 60 })
    expect([await opens(client_id, chosen), await opens(client_id, client_secret)]).toEqual([true, true])

    await operate(postern, 'client set-secret', { client_id, client_secret: `${chosen}!`, overlap_seconds: 0 })
    expect(await opens(client_id, `${chosen}!`)).toBe(true)
    expect([await opens(client_id, chosen), await opens(client_id, client_secret)]).toEqual([false, false])
  })

  test('leaves the secret in neither its answer nor the audit', async () => {
    const { client_id } = await postern.createClient(machine)
    const answer = await operate(postern, 'client set-secret', { client_id, client_secret: chosen })
    expect(JSON.stringify(answer)).not.toContain(chosen)
    const rows = await postern.database.query('select * from audit_events where client_id = $1', [client_id])
    expect(rows).toMatchObject([{ type: 'client.secret_set', details: { overlap_seconds: 86_400 } }])
    expect(JSON.stringify(rows)).not.toContain(chosen)
  })

  test.each([
    ['is short enough to be guessed', 'x'.repeat(31), 'at least 32 characters'],
    ['has characters that a form cannot carry', `${'x'.repeat(40)}\u00e9`, 'printable ASCII'],
  ])('refuses a secret that %s, without repeating it', async (_, client_secret, message) => {
    const { client_id } = await postern.createClient(machine)
    const refused = operate(postern, 'client set-secret', { client_id, client_secret })
    await expect(refused).rejects.toThrow(message)
    await expect(refused).rejects.not.toThrow(client_secret)
  })

  test('refuses a client that authenticates without a secret, and an unknown client', async () => {
    const { client_id } = await postern.createClient({ token_endpoint_auth_method: 'none' })
    const set = (id: string) => operate(postern, 'client set-secret', { client_id: id, client_secret: chosen })
    await expect(set(client_id)).rejects.toThrow('has no secret')
    await expect(set('nobody')).rejects.toThrow('There is no client nobody.')
  })
})
