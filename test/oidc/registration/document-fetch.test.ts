import { randomBytes } from 'node:crypto'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { connect, type Database } from '../../../src/database/connect.ts'
import { createDocuments, type Documents } from '../../../src/oidc/registration/document-fetch.ts'
import { createWork, run } from '../../../src/oidc/request/work.ts'
import { secret } from '../../../src/secret.ts'
import { createDatabase, type TestDatabase } from '../../support/database.ts'

const clientId = 'https://app.example/client.json'
let testDatabase: TestDatabase
let database: Database
let documents: Documents
let asked: number
/** The next answer of the document's server. */
let answer: () => Response

beforeAll(async () => {
  testDatabase = await createDatabase()
  database = connect({ url: testDatabase.url, poolSize: 2, preparedStatements: true, onError: () => {} })
})
afterAll(async () => {
  await database?.close()
  await testDatabase?.drop()
})
beforeEach(() => {
  asked = 0
  answers({})
  documents = createDocuments({
    db: database.db,
    throttleKey: secret(randomBytes(32)),
    fetch: async () => {
      asked += 1
      return answer()
    },
  })
})
afterEach(() => vi.useRealTimers())

const startedAt = Date.now()
const at = (seconds: number) => vi.useFakeTimers({ toFake: ['Date'], now: startedAt + seconds * 1_000 })
const read = () => documents.read(clientId, { isKnown: true })

function answers(metadata: Record<string, unknown>, headers: Record<string, string> = {}): void {
  answer = () => Response.json({ client_id: clientId, ...metadata }, { headers })
}

function fails(): void {
  answer = () => {
    throw new TypeError('the address could not be fetched')
  }
}

describe('RFC 9111 §4.2.1: a document', () => {
  test.each<[what: string, headers: () => Record<string, string>, seconds: number]>([
    ['for as long as its server says', () => ({ 'cache-control': 'public, max-age=1200' }), 1_200],
    ['until the date that its server gives', () => ({ expires: new Date(startedAt + 900_000).toUTCString() }), 900],
    ['by max-age rather than Expires', () => ({ 'cache-control': 'max-age=1200', expires: '0' }), 1_200],
    ['for five minutes if its server says nothing', () => ({}), 300],
    ['for five minutes even if its server says less', () => ({ 'cache-control': 'max-age=0, no-store' }), 300],
    ['for at most an hour even if its server says more', () => ({ 'cache-control': 'max-age=31536000' }), 3_600],
    ['for five minutes if its server gives an invalid date', () => ({ expires: 'tomorrow' }), 300],
  ])('is fresh %s', async (_what, headers, seconds) => {
    at(0)
    answers({ client_name: 'Before' }, headers())
    const first = await read()
    answers({ client_name: 'After' })
    at(seconds - 1)
    expect(await read()).toBe(first)
    expect(asked).toBe(1)
    at(seconds + 1)
    expect(await read()).toEqual({ client_name: 'After' })
    expect(asked).toBe(2)
  })
})

describe('reading documents', () => {
  const unknown = (n: number) => documents.read(`${clientId}/${n}`, { isKnown: false })

  test('is limited for each known one, and separately for all unknown ones', async () => {
    fails()
    const refusals = async (ask: (n: number) => Promise<unknown>, count: number) => {
      const outcomes = []
      for (let n = 0; n < count; n++) outcomes.push(await ask(n).catch(({ error }) => error))
      return outcomes
    }
    const [failed, limited] = ['invalid_client', 'temporarily_unavailable']
    expect(await refusals(read, 61)).toEqual([...Array(60).fill(failed), limited])
    expect(await refusals(unknown, 31)).toEqual([...Array(30).fill(failed), limited])
    expect(await refusals(() => documents.read(`${clientId}/known`, { isKnown: true }), 1)).toEqual([failed])
    expect(asked).toBe(91)
  })
})

const readFrom = (address: string, name: string, at = clientId) =>
  run(createWork({ endpoint: 'authorization', requestId: 'x', address }), () =>
    documents.read(`${at}?${name}`, { isKnown: false }).then(
      () => 'read',
      ({ error }) => error,
    ),
  )

describe('simultaneous requests for one document', () => {
  test('read it once, even if one of them is counted only after another has read it', async () => {
    fails()
    await readFrom('192.0.2.1', 'other', 'https://other.example/client.json')
    const holder = await database.dedicated()
    try {
      await holder.query('begin')
      await holder.query('select from throttles for update') // the row that counts the first request
      answer = () => Response.json({ client_id: `${clientId}?one` })
      asked = 0
      const first = readFrom('192.0.2.1', 'one')
      expect(await readFrom('198.51.100.1', 'one')).toBe('read')
      await holder.query('rollback')
      expect(await first).toBe('read')
      expect(asked).toBe(1)
    } finally {
      await holder.end()
    }
  })
})

describe('a stranger who asks for too many documents', () => {
  const limited = 'temporarily_unavailable'

  test('does not prevent others from reading one, not even at the same moment', async () => {
    for (let n = 0; n < 30; n++) await readFrom('192.0.2.1', `${n}`)
    answer = () => Response.json({ client_id: `${clientId}?one` })
    const answers = await Promise.all([readFrom('192.0.2.1', 'one'), readFrom('198.51.100.1', 'one')])
    expect(answers).toEqual([limited, 'read'])
  })

  test('from many networks leaves some reads of a host for networks that have used none', async () => {
    fails()
    const outcomes = []
    for (let n = 0; n < 250; n++) outcomes.push(await readFrom(`192.0.2.${n % 10}`, `${n}`))
    expect(outcomes.at(-1)).toBe(limited)
    expect(await readFrom('198.51.100.1', 'x')).toBe('invalid_client')
  })
})

describe('a document that can no longer be read', () => {
  test('stays valid for another hour, and is requested every five minutes', async () => {
    at(0)
    const first = await read()
    fails()
    at(301)
    expect(await read()).toBe(first)
    expect(await read()).toBe(first)
    expect(asked).toBe(2)
    at(3_899)
    expect(await read()).toBe(first)
    at(3_901 + 300)
    await expect(read()).rejects.toMatchObject({ error: 'invalid_client' })
  })

  test('takes effect as soon as it can be read, whatever it contains', async () => {
    at(0)
    await read()
    answer = () => new Response('gone', { headers: { 'content-type': 'application/json' } })
    at(301)
    await expect(read()).rejects.toMatchObject({ error_description: expect.stringContaining('not a JSON object') })
    fails()
    await expect(read()).rejects.toMatchObject({ error_description: expect.stringContaining('could not be fetched') })
  })
})

describe('draft-ietf-oauth-client-id-metadata-document §4: the media type of a document', () => {
  const served = (type: string | undefined) => {
    const body = JSON.stringify({ client_id: clientId, client_name: 'App' })
    answer = () =>
      new Response(new TextEncoder().encode(body), { headers: type === undefined ? {} : { 'content-type': type } })
  }

  test.each([
    'application/json',
    'application/json; charset=utf-8',
    'application/json;charset=utf-8',
    'Application/JSON ; charset="utf-8"',
    'application/oauth-client+json',
    'application/vnd.example.client-v1.0+json; profile=x',
  ])('may be %s', async (type) => {
    served(type)
    expect(await read()).toEqual({ client_name: 'App' })
  })

  test.each([
    undefined,
    '',
    'text/plain',
    'text/html',
    'text/json',
    'text/x+json',
    'application/octet-stream',
    'application/javascript',
    'application/jsonp',
    'application/json5',
    'application/x-ndjson',
    'application/+json',
    'application/x-www-form-urlencoded',
    'image/svg+xml',
    'multipart/form-data; boundary=application/json',
    'text/html, application/json',
    'text/plain; type=application/json',
    'application/json, text/html',
  ])('may not be %s, which a server may use for content of anyone', async (type) => {
    served(type)
    const refusal = { error: 'invalid_client', error_description: expect.stringContaining('must be served as') }
    await expect(read()).rejects.toMatchObject(refusal)
  })

  test('takes effect at once when it changes', async () => {
    at(0)
    served('application/json')
    await read()
    at(301)
    served('text/plain')
    await expect(read()).rejects.toMatchObject({ error: 'invalid_client' })
    fails()
    await expect(read()).rejects.toMatchObject({ error: 'invalid_client' })
  })
})
