import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { operate } from '../support/operator.ts'
import { startPostern, type TestPostern } from '../support/postern.ts'

let postern: TestPostern
beforeAll(async () => {
  postern = await startPostern()
})
afterAll(() => postern?.stop())

const create = (client_id: string, client_name = 'Named') =>
  operate(postern, 'client create', { client_id, client_name, scope: 'profile' }) as Promise<{ client_id: string }>

describe('postern client create with a client_id', () => {
  test('registers the client with that id', async () => {
    expect((await create('web')).client_id).toBe('web')
    expect(await operate(postern, 'client show', { client_id: 'web' })).toMatchObject({ client_name: 'Named' })
  })

  test('leaves alone an existing client with that id, enabled or disabled', async () => {
    await create('kept', 'First')
    await expect(create('kept', 'Second')).rejects.toThrow('There already is a client kept.')
    await operate(postern, 'client disable', { client_id: 'kept' })
    await expect(create('kept', 'Second')).rejects.toThrow('There already is a client kept.')
    expect(await operate(postern, 'client show', { client_id: 'kept' })).toMatchObject({ client_name: 'First' })
  })

  test('never reuses an id, so that nobody inherits what another client was given', async () => {
    await create('gone')
    await operate(postern, 'client delete', { client_id: 'gone' })
    await expect(create('gone')).rejects.toThrow('The client gone was deleted, and its id is not given out again')
  })

  test('registers one client when several ask for the same id at once', async () => {
    const outcomes = await Promise.allSettled(Array.from({ length: 8 }, (_, index) => create('raced', `Name ${index}`)))
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    const lines = await postern.database.query("select type from audit_events where client_id = 'raced'")
    expect(lines).toEqual([{ type: 'client.registered' }])
  })

  test.each([
    ['is empty', ''],
    ['is longer than 255 characters', 'a'.repeat(256)],
    ['has other characters than RFC 6749 §A.1 allows', 'caf\u00e9'],
    ['is an https URL, which would refer to a document', 'https://app.example/client'],
    ['is an http URL', 'http://app.example/client'],
  ])('refuses an id that %s', async (_, id) => {
    await expect(create(id)).rejects.toThrow(/client_id/)
  })
})

describe('the client that an API introspects tokens as', () => {
  const identifier = 'https://api.example/'
  const scopes = { read: 'Read' }

  test('can be replaced by another one later', async () => {
    await create('first')
    await create('second')
    await operate(postern, 'resource create', { identifier, scopes, client_id: 'first' })
    expect(await operate(postern, 'resource update', { identifier, client_id: 'second' })).toMatchObject({
      client_id: 'second',
      scopes,
    })
  })

  test('must exist', async () => {
    const created = operate(postern, 'resource create', { identifier: `${identifier}b`, scopes, client_id: 'nobody' })
    await expect(created).rejects.toThrow('There is no client nobody.')
    const updated = operate(postern, 'resource update', { identifier, client_id: 'nobody' })
    await expect(updated).rejects.toThrow('There is no client nobody.')
  })
})
