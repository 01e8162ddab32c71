import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { connect, type Database } from '../../../src/database/connect.ts'
import { stageOf } from '../../../src/oidc/request/storage.ts'
import * as sessions from '../../../src/stores/protocol/sessions.ts'
import * as stages from '../../../src/stores/protocol/stages.ts'
import { createDatabase, type TestDatabase } from '../../support/database.ts'

const inAnHour = () => Math.floor(Date.now() / 1000) + 3_600

let testDatabase: TestDatabase
let database: Database

beforeAll(async () => {
  testDatabase = await createDatabase()
  database = connect({ url: testDatabase.url, poolSize: 10, preparedStatements: true, onError: () => {} })
  await testDatabase.query(
    `insert into accounts (id, email, email_canonical, created_at, updated_at)
     select n, n, n, now(), now() from unnest(array['ada', 'bob']) n`,
  )
})
afterAll(async () => {
  await database?.close()
  await testDatabase?.drop()
})

/** A session as a request found it: the account at that time, and the presented identifier. */
const foundBy = (accountId: string | undefined, uid: string, presentedHash?: Buffer) => ({
  uid,
  presentedHash,
  accountId,
})

function changeOf(uid: string, part: Partial<stages.SessionChange>): stages.Stage {
  const session = {
    uid,
    origin: foundBy('ada', uid),
    isNew: false,
    idHash: undefined,
    keepsPrevious: false,
    accountId: undefined,
    changed: {},
    removed: [],
    authorizationsChanged: {},
    authorizationsRemoved: [],
    expiresAtSeconds: inAnHour(),
    ...part,
  }
  return stageOf({ session })
}

const endOf = (uid: string): stages.Stage => ({
  ...changeOf(uid, {}),
  session: undefined,
  endedSession: foundBy('ada', uid),
})

/** Applies stages, as requests at the same moment do. None may fail. */
async function apply(...all: stages.Stage[]): Promise<void> {
  const results = await stages.apply(database.db, all)
  expect(results.map(({ status }) => status)).toEqual(all.map(() => 'fulfilled'))
}

/** Creates the session of a signed-in person, with authorizations of two apps. */
async function signedIn(): Promise<{ uid: string; idHash: Buffer }> {
  const [uid, idHash] = [randomBytes(8).toString('hex'), randomBytes(32)]
  const authorizationsChanged = { one: { sid: '1' }, two: { sid: '2' } }
  await apply(
    changeOf(uid, {
      isNew: true,
      idHash,
      accountId: 'ada',
      changed: { accountId: 'ada', loginTs: 1 },
      authorizationsChanged,
    }),
  )
  return { uid, idHash }
}

const byHash = async (idHash: Buffer) => (await sessions.findByIdHashes(database.db, [idHash]))[0]
const byUid = (uid: string) => sessions.findByUid(database.db, uid)

describe.each([
  ['in one statement', (all: stages.Stage[]) => apply(...all)],
  [
    'one after the other',
    async (all: stages.Stage[]) => {
      for (const stage of all) await apply(stage)
    },
  ],
  [
    'in parallel',
    async (all: stages.Stage[]) => {
      await Promise.all(all.map((stage) => apply(stage)))
    },
  ],
])('tabs that were loaded from the same session and are saved %s', (_how, save) => {
  test('keep every change: one adds an app, another removes one, a third changes the session itself', async () => {
    const { uid } = await signedIn()
    await save([
      changeOf(uid, { authorizationsChanged: { three: { sid: '3' } } }),
      changeOf(uid, { authorizationsRemoved: ['one'] }),
      changeOf(uid, { changed: { loginTs: 2 } }),
    ])
    expect(await byUid(uid)).toMatchObject({
      authorizations: { two: { sid: '2' }, three: { sid: '3' } },
      payload: { accountId: 'ada', loginTs: 2 },
    })
    expect((await byUid(uid))?.authorizations).not.toHaveProperty('one')
  })

  test('are all signed out when one of them signed out', async () => {
    const { uid, idHash } = await signedIn()
    await save([
      changeOf(uid, { authorizationsChanged: { three: {} } }),
      endOf(uid),
      changeOf(uid, { idHash: randomBytes(32), keepsPrevious: true, changed: { loginTs: 3 } }),
      changeOf(uid, { isNew: true, idHash, changed: { accountId: 'ada' }, accountId: 'ada' }),
    ])
    expect(await byUid(uid)).toBeUndefined()
    expect(await byHash(idHash)).toBeUndefined()
    const [row] = await testDatabase.query('select payload, authorizations from sessions where uid = $1', [uid])
    expect(row).toEqual({ payload: {}, authorizations: {} })
  })

  test('are still one session when each got a new identifier', async () => {
    const { uid } = await signedIn()
    const hashes = [randomBytes(32), randomBytes(32)]
    await save(hashes.map((idHash) => changeOf(uid, { idHash, keepsPrevious: true })))
    expect((await Promise.all(hashes.map(byHash))).map((found) => found?.uid)).toEqual([uid, uid])
    expect(await testDatabase.query('select 1 from sessions where uid = $1', [uid])).toHaveLength(1)
  })
})

describe('a new identifier', () => {
  test('replaces the previous one, which stays valid as long as the account is the same', async () => {
    const { uid, idHash } = await signedIn()
    const next = randomBytes(32)
    await apply(changeOf(uid, { idHash: next, keepsPrevious: true }))
    expect([(await byHash(idHash))?.uid, (await byHash(next))?.uid, (await byUid(uid))?.uid]).toEqual([uid, uid, uid])
    await apply(changeOf(uid, { idHash: randomBytes(32), keepsPrevious: true }))
    expect([(await byHash(idHash))?.uid, (await byHash(next))?.uid]).toEqual([undefined, uid])
  })

  test('at a sign-in is the only valid one', async () => {
    const { uid, idHash } = await signedIn()
    const [kept, next] = [randomBytes(32), randomBytes(32)]
    await apply(changeOf(uid, { idHash: kept, keepsPrevious: true }))
    await apply(changeOf(uid, { idHash: next, accountId: 'bob', changed: { accountId: 'bob' } }))
    expect([await byHash(idHash), await byHash(kept), (await byHash(next))?.accountId]).toEqual([
      undefined,
      undefined,
      'bob',
    ])
  })
})

describe('a session is not found', () => {
  test.each([
    ['when it has expired', 'update sessions set expires_at = now() where uid = $1'],
    ['when its account is disabled', `update accounts set disabled_at = now() where id = 'ada' and $1 <> ''`],
  ])('%s', async (_when, statement) => {
    const { uid, idHash } = await signedIn()
    await testDatabase.query(statement, [uid])
    expect([await byUid(uid), await byHash(idHash)]).toEqual([undefined, undefined])
    await testDatabase.query('update accounts set disabled_at = null')
  })

  test('by the hash of another, or by its uid instead of its identifier', async () => {
    const { uid } = await signedIn()
    expect(await byHash(randomBytes(32))).toBeUndefined()
    expect(await byHash(Buffer.from(uid))).toBeUndefined()
  })

  test('by any identifier after all sessions of the account were ended', async () => {
    const { uid, idHash } = await signedIn()
    await database.db.transaction().execute((tx) => sessions.destroyByAccount(tx, 'ada'))
    expect([await byUid(uid), await byHash(idHash)]).toEqual([undefined, undefined])
  })
})

describe('a request that was delayed while a person signed in', () => {
  const idHashOf = async (uid: string) => {
    const [row] = await testDatabase.query('select id_hash, destroyed_at from sessions where uid = $1', [uid])
    return { idHash: row?.['id_hash'] as Buffer, isEnded: row?.['destroyed_at'] !== null }
  }

  test('neither takes over nor ends the session with the previous identifier', async () => {
    const uid = randomBytes(8).toString('hex')
    const [planted, theirs] = [randomBytes(32), randomBytes(32)]
    await apply(changeOf(uid, { origin: undefined, isNew: true, idHash: planted }))
    const before = foundBy(undefined, uid, planted)
    await apply(
      changeOf(uid, { origin: before, idHash: theirs, accountId: 'ada', changed: { accountId: 'ada', loginTs: 1 } }),
    )

    await apply(changeOf(uid, { origin: before, idHash: randomBytes(32) }))
    await apply({ ...endOf(uid), endedSession: before })

    expect(await idHashOf(uid)).toEqual({ idHash: theirs, isEnded: false })
  })

  test('is still applied when the same person signed in with it', async () => {
    const uid = randomBytes(8).toString('hex')
    const [first, other] = [randomBytes(32), randomBytes(32)]
    await apply(changeOf(uid, { origin: undefined, isNew: true, idHash: first }))
    const signIn = {
      origin: foundBy(undefined, uid, first),
      accountId: 'ada',
      changed: { accountId: 'ada', loginTs: 1 },
    }
    await apply(changeOf(uid, { ...signIn, idHash: randomBytes(32) }))
    await apply(changeOf(uid, { ...signIn, idHash: other }))
    expect(await idHashOf(uid)).toEqual({ idHash: other, isEnded: false })
  })
})
