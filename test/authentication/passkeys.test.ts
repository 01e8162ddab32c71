import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { createActing } from '../../src/accounts/acting.ts'
import { use } from '../../src/accounts/passkey-use.ts'
import * as passkeyChanges from '../../src/accounts/passkeys.ts'
import { remainingWays } from '../../src/accounts/ways-in.ts'
import { creationOptions, requestOptions } from '../../src/authentication/passkeys/options.ts'
import { relyingPartyFor } from '../../src/authentication/passkeys/relying-party.ts'
import { verifyRegistration } from '../../src/authentication/passkeys/verification.ts'
import * as accounts from '../../src/stores/people/accounts.ts'
import type { Purpose } from '../../src/stores/people/challenges.ts'
import * as passkeys from '../../src/stores/people/passkeys.ts'
import { createPasskey, type Said, type SoftPasskey } from '../support/authenticator.ts'
import { mailsTo } from '../support/mailbox.ts'
import { startPostern, type TestPostern } from '../support/postern.ts'

const origin = 'https://login.example.com'
const rp = relyingPartyFor({ issuer: origin, name: () => 'Example' })
const browserHash = randomBytes(32)
const by = { requestId: 'test', address: '127.0.0.1' }
const allowed = { passwords: true, passkeys: true, mail: false }
let postern: TestPostern
let count = 0

beforeAll(async () => {
  postern = await startPostern()
})
afterAll(() => postern?.stop())

const db = () => postern.server.postern.database.db
const act = () => createActing(postern.server.postern.storage)
const newAccount = () => postern.createAccount(`person-${++count}@example.com`)
const events = async (type: string, accountId: string) =>
  postern.database.query('select details from audit_events where type = $1 and account_id = $2', [type, accountId])

type Registering = { purpose?: Purpose; said?: Said; name?: string; at?: Buffer }

/** Adds a passkey to an account, as its page does. */
async function register(
  { id, epoch, email }: accounts.Account,
  passkey: SoftPasskey,
  { purpose = 'passkey-registration', said = {}, name = 'My phone', at = browserHash }: Registering = {},
) {
  const options = await creationOptions(db(), rp, { purpose, browserHash }, { account: { id, epoch }, email, name: '' })
  const verified = await verifyRegistration(rp, purpose, passkey.register(options, said))
  if (!verified) return 'not-verified'
  const belonging = { purpose, browserHash: at, origin }
  return act()(by, (context) => passkeyChanges.add(context, id, { passkey: verified, belonging, name }))
}

type Asking = { purpose?: Purpose; account?: accounts.Account }

const ask = ({ purpose = 'passkey-sign-in', account }: Asking = {}) =>
  requestOptions(db(), rp, { purpose, browserHash }, account && { id: account.id, epoch: account.epoch })

const answer = (response: string, { purpose = 'passkey-sign-in', account }: Asking = {}, at = browserHash) =>
  act()(by, (context) =>
    use(context, { rp, asked: { purpose, browserHash: at }, response, ...(account && { accountId: account.id }) }),
  )

async function holder(options: Parameters<typeof createPasskey>[1] = {}) {
  const account = await newAccount()
  const passkey = createPasskey(origin, options)
  expect(await register(account, passkey)).toMatchObject({ accountId: account.id })
  return { account, passkey }
}

describe('a passkey', () => {
  test.each(['ES256', 'EdDSA', 'RS256'] as const)(
    'with %s signs in without an address, again and again',
    async (algorithm) => {
      const { account, passkey } = await holder({ algorithm })
      for (let time = 1; time <= 2; time++) {
        const options = await ask()
        expect(options.allowCredentials).toEqual([])
        expect(options.userVerification).toBe('required')
        expect(await answer(passkey.authenticate(options))).toMatchObject({
          accountId: account.id,
          epoch: 0,
          isUserVerified: true,
        })
      }
      const [stored] = await passkeys.listByAccount(db(), account.id)
      expect(stored).toMatchObject({ counter: 3, name: 'My phone', isBackupEligible: false })
      expect(stored?.lastUsedAt).toBeInstanceOf(Date)
    },
  )

  test('that does not count, and is synced, signs in as well, and is marked as synced', async () => {
    const { account, passkey } = await holder({ counts: false, isSynced: true })
    expect(await answer(passkey.authenticate(await ask()))).toMatchObject({ accountId: account.id })
    expect(await answer(passkey.authenticate(await ask(), { isBackedUp: false }))).toMatchObject({
      accountId: account.id,
    })
    const [stored] = await passkeys.listByAccount(db(), account.id)
    expect(stored).toMatchObject({ isBackupEligible: true, isBackedUp: false })
  })

  test('is a second factor of its account without a verified person, and says so', async () => {
    const { account, passkey } = await holder()
    const asking = { purpose: 'passkey-second-factor', account } as const
    const options = await ask(asking)
    expect(options.allowCredentials).toMatchObject([{ id: passkey.id, transports: ['internal'] }])
    const said = passkey.authenticate(options, { isUserVerified: false, userHandle: undefined })
    expect(await answer(said, asking)).toMatchObject({ accountId: account.id, isUserVerified: false })
  })

  test('is one of several of its account, all with one user handle, and not added twice', async () => {
    const { account, passkey } = await holder()
    const other = createPasskey(origin)
    expect(await register(account, other)).toMatchObject({ name: 'My phone' })
    expect(await register(account, passkey)).toBe('taken')
    const stranger = await newAccount()
    expect(await register(stranger, passkey)).toBe('taken')
    const stored = await passkeys.listByAccount(db(), account.id)
    expect(new Set(stored.map(({ userHandle }) => userHandle.toString('hex'))).size).toBe(1)
    expect(stored).toHaveLength(2)
    expect(await passkeys.listByAccount(db(), stranger.id)).toHaveLength(0)
  })
})

describe('a passkey is not added', () => {
  const refused: [string, Registering][] = [
    ['from another origin', { said: { origin: 'https://evil.example' } }],
    ['for another relying party', { said: { rpId: 'evil.example' } }],
    ['for another challenge', { said: { challenge: randomBytes(32).toString('base64url') } }],
    ['as an answer to a sign-in', { said: { type: 'webauthn.get' } }],
    ['without anybody present', { said: { isUserPresent: false } }],
    ['without a verified person', { said: { isUserVerified: false } }],
    ['with flags that contradict each other', { said: { isBackupEligible: false, isBackedUp: true } }],
    ['in another browser', { at: randomBytes(32) }],
  ]
  test.each(refused)('%s', async (_title, how) => {
    const account = await newAccount()
    expect(['not-verified', 'gone']).toContain(await register(account, createPasskey(origin), how))
    expect(await passkeys.listByAccount(db(), account.id)).toEqual([])
  })

  test('by a challenge that was used, has expired, is of another purpose or account, or whose account has changed', async () => {
    const account = await newAccount()
    const { id, epoch, email } = account
    const belonging = { purpose: 'passkey-registration', browserHash, origin } as const
    const begin = async () => {
      const options = await creationOptions(db(), rp, belonging, { account: { id, epoch }, email, name: '' })
      const verified = await verifyRegistration(rp, 'passkey-registration', createPasskey(origin).register(options))
      if (!verified) throw new Error('The passkey is not verified.')
      return verified
    }
    const finish = (
      passkey: Awaited<ReturnType<typeof begin>>,
      { accountId = id, purpose = belonging.purpose as Purpose } = {},
    ) =>
      act()(by, (context) =>
        passkeyChanges.add(context, accountId, { passkey, belonging: { ...belonging, purpose }, name: '' }),
      )

    const used = await begin()
    expect(await finish(used)).toMatchObject({ name: 'Passkey' })
    expect(await finish({ ...used, credentialId: randomBytes(16) })).toBe('gone')
    expect(await finish(await begin(), { purpose: 'passkey-upgrade' })).toBe('gone')
    expect(await finish(await begin(), { accountId: (await newAccount()).id })).toBe('gone')
    const late = await begin()
    vi.useFakeTimers({ now: Date.now() + 301_000, toFake: ['Date'] })
    expect(await finish(late)).toBe('gone')
    vi.useRealTimers()
    const stale = await begin()
    await db()
      .transaction()
      .execute((tx) => accounts.signOutEverywhere(tx, id))
    expect(await finish(stale)).toBe('gone')
  })
})

describe('of simultaneous answers', () => {
  test('to one challenge, and with one count of two copies, exactly one signs in', async () => {
    const { passkey } = await holder()
    const one = passkey.authenticate(await ask())
    const answers = await Promise.all(Array.from({ length: 12 }, () => answer(one)))
    expect(answers.filter((outcome) => 'accountId' in outcome && 'epoch' in outcome)).toHaveLength(1)

    const [asked, copy] = [randomBytes(32), passkey.copy()]
    const options = [
      await ask(),
      await requestOptions(db(), rp, { purpose: 'passkey-sign-in', browserHash: asked }),
    ] as const
    const texts = [passkey.authenticate(options[0]), copy.authenticate(options[1])] as const
    const both = await Promise.all([answer(texts[0]), answer(texts[1], {}, asked)])
    expect(both.filter((outcome) => 'epoch' in outcome)).toHaveLength(1)
  })
})

describe('a sign-in is refused', () => {
  const refused: [string, Said][] = [
    ['from another origin', { origin: 'https://evil.example' }],
    ['from a subdomain', { origin: 'https://evil.login.example.com' }],
    ['for another relying party', { rpId: 'evil.example' }],
    ['for a challenge that nobody created', { challenge: randomBytes(32).toString('base64url') }],
    ['as an answer to a registration', { type: 'webauthn.create' }],
    ['without anybody present', { isUserPresent: false }],
    ['without a verified person', { isUserVerified: false }],
    ['with a bad signature', { spoil: true }],
    ['for a passkey that can suddenly be copied', { isBackupEligible: true }],
    ['without the user handle', { userHandle: undefined }],
    ['with the user handle of somebody else', { userHandle: randomBytes(32).toString('base64url') }],
  ]
  test.each(refused)('%s, and the challenge is used up', async (_title, said) => {
    const { passkey } = await holder()
    const options = await ask()
    expect(await answer(passkey.authenticate(options, said))).toMatchObject({ refusal: 'invalid' })
    if (said.challenge === undefined) {
      expect(await answer(passkey.authenticate(options))).toMatchObject({ refusal: 'invalid' })
    }
  })

  test('with a challenge that was used, or has expired, or is of another browser or purpose', async () => {
    const { account, passkey } = await holder()
    const options = await ask()
    expect(await answer(passkey.authenticate(options))).toMatchObject({ accountId: account.id })
    expect(await answer(passkey.authenticate(options))).toMatchObject({ refusal: 'invalid' })
    expect(await answer(passkey.authenticate(await ask()), {}, randomBytes(32))).toMatchObject({ refusal: 'invalid' })
    for (const purpose of ['passkey-second-factor', 'passkey-confirmation', 'passkey-registration'] as const) {
      const other = passkey.authenticate(await ask({ purpose, account }))
      expect(await answer(other)).toMatchObject({ refusal: 'invalid' })
    }
    const late = passkey.authenticate(await ask())
    vi.useFakeTimers({ now: Date.now() + 301_000, toFake: ['Date'] })
    expect(await answer(late)).toMatchObject({ refusal: 'invalid' })
    vi.useRealTimers()
  })

  test('with a counter that does not rise, as of a copied authenticator', async () => {
    const { account, passkey } = await holder()
    const copy = passkey.copy()
    expect(await answer(passkey.authenticate(await ask()))).toMatchObject({ accountId: account.id })
    expect(await answer(copy.authenticate(await ask()))).toMatchObject({ refusal: 'copied', accountId: account.id })
    expect(await answer(passkey.authenticate(await ask(), { counter: 0 }))).toMatchObject({ refusal: 'copied' })
    expect(await events('account.passkey_copied', account.id)).toHaveLength(2)
    expect(await events('sign_in.succeeded', account.id)).toEqual([{ details: { method: 'passkey' } }])
  })

  test('with the passkey of another account as a second factor, and once the account has changed', async () => {
    const [one, other] = [await holder(), await holder()]
    const asking = { purpose: 'passkey-second-factor', account: one.account } as const
    expect(await answer(other.passkey.authenticate(await ask(asking)), asking)).toMatchObject({ refusal: 'invalid' })
    const stale = await ask(asking)
    await db()
      .transaction()
      .execute((tx) => accounts.signOutEverywhere(tx, one.account.id))
    expect(await answer(one.passkey.authenticate(stale), asking)).toMatchObject({ refusal: 'invalid' })
  })

  test('for a disabled account, a removed passkey and one that was never here', async () => {
    const { account, passkey } = await holder()
    const inTx = (change: (tx: Parameters<typeof accounts.disable>[0]) => Promise<unknown>) =>
      db().transaction().execute(change)
    await inTx((tx) => accounts.disable(tx, account.id))
    expect(await answer(passkey.authenticate(await ask()))).toMatchObject({ refusal: 'invalid' })
    await inTx((tx) => accounts.enable(tx, account.id))
    const [{ id = '' } = {}] = await passkeys.listByAccount(db(), account.id)
    await inTx((tx) => passkeys.remove(tx, account.id, id))
    expect(await answer(passkey.authenticate(await ask()))).toMatchObject({
      refusal: 'unknown',
      credentialId: passkey.id,
    })
    expect(await answer('{"id":')).toMatchObject({ refusal: 'invalid' })
    expect(await answer('{"id":"a","rawId":"a","type":"public-key"}')).toMatchObject({ refusal: 'invalid' })
  })
})

describe('a change of passkeys', () => {
  test('leaves an event and a mail, and keeps the last way in', async () => {
    const { account, passkey } = await holder()
    const [stored] = await passkeys.listByAccount(db(), account.id)
    if (!stored) throw new Error('There is no passkey.')
    const rename = (name: string) => act()(by, (context) => passkeyChanges.rename(context, account.id, stored.id, name))
    expect(await rename(`  Key\u202e \n of   ${'x'.repeat(80)}`)).toBe('renamed')
    expect(await rename(' \u0007 ')).toBe('unnamed')
    expect((await passkeys.listByAccount(db(), account.id))[0]?.name).toBe(`Key of ${'x'.repeat(53)}`)

    const remove = (id = stored.id) =>
      act()(by, (context) =>
        passkeyChanges.remove(context, account.id, { id, allowed, signsOut: false, keptSessionUid: '' }),
      )
    const stranger = await newAccount()
    expect(await act()(by, (context) => passkeyChanges.rename(context, stranger.id, stored.id, 'Mine'))).toBe('gone')
    await db()
      .transaction()
      .execute((tx) => accounts.removePassword(tx, account.id))
    expect(await remaining(account.id)).toEqual(['passkey'])
    expect(await remove()).toBe('last')
    expect(await register(account, createPasskey(origin), { name: 'Other' })).toMatchObject({ name: 'Other' })
    expect(await remove()).toMatchObject({ id: stored.id })
    expect(await remove()).toBe('gone')
    expect(await answer(passkey.authenticate(await ask()))).toMatchObject({ refusal: 'unknown' })

    expect(await events('account.passkey_added', account.id)).toHaveLength(2)
    expect(await events('account.passkey_renamed', account.id)).toHaveLength(1)
    expect(await events('account.passkey_removed', account.id)).toHaveLength(1)
    const mails = await mailsTo(postern, account.email)
    expect(mails.map(({ kind }) => kind).toSorted()).toEqual(['passkey-added', 'passkey-added', 'passkey-removed'])
    expect(mails.find(({ kind }) => kind === 'passkey-removed')?.text).toContain(`Key of ${'x'.repeat(53)}`)
  })

  const remaining = async (id: string) => (await remainingWays(db(), id, allowed)).map(({ kind }) => kind)
})
