import { describe, expect, test } from 'vitest'
import { createRecoveryCodes, recoveryCodeHash } from '../../src/authentication/recovery-codes.ts'
import { base32, codeOf, otpauthUri, stepAt, stepOf } from '../../src/authentication/totp.ts'
import { secret as wrapped } from '../../src/secret.ts'

// RFC 6238 appendix B, for SHA-1; the codes there have eight digits, of which six remain.
const secret = Buffer.from('12345678901234567890')

describe('RFC 6238', () => {
  test.each([
    [59, '287082'],
    [1111111109, '081804'],
    [1111111111, '050471'],
    [1234567890, '005924'],
    [2000000000, '279037'],
    [20000000000, '353130'],
  ])('at %i s the code is %s', (seconds, code) => {
    expect(codeOf(secret, stepAt(seconds * 1000))).toBe(code)
  })

  test('accepts the steps beside the present one, and no others', () => {
    const now = 1_234_567_890_000
    const accepted = [-2, -1, 0, 1, 2].filter(
      (steps) => stepOf(secret, codeOf(secret, stepAt(now) + steps), now) === stepAt(now) + steps,
    )
    expect(accepted).toEqual([-1, 0, 1])
  })

  test.each(['', '000000', '0059240', '00592', '٠٠٥٩٢٤', '005924\0', '-05924', '5924'])(
    'does not accept %j',
    (code) => {
      expect(stepOf(secret, code, 1_234_567_890_000)).toBe(undefined)
    },
  )

  test('accepts blanks, which apps show', () => {
    expect(stepOf(secret, ' 005 924 ', 1_234_567_890_000)).toBe(stepAt(1_234_567_890_000))
  })
})

test('the address for an app has the secret in base 32 (RFC 4648 §10), and names service and account', () => {
  expect(base32(Buffer.from('foobar'))).toBe('MZXW6YTBOI')
  const uri = new URL(otpauthUri(secret, { service: 'Ada & Co', account: 'ada@example.com' }))
  expect(decodeURIComponent(uri.pathname)).toBe('/Ada & Co:ada@example.com')
  expect(Object.fromEntries(uri.searchParams)).toEqual({
    secret: 'GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ',
    issuer: 'Ada & Co',
    algorithm: 'SHA1',
    digits: '6',
    period: '30',
  })
})

describe('recovery codes', () => {
  test('are ten, all different, and easy to read', () => {
    const codes = createRecoveryCodes()
    expect(new Set(codes).size).toBe(10)
    for (const code of codes) expect(code).toMatch(/^[2-9a-hjkmnp-z]{4}-[2-9a-hjkmnp-z]{4}-[2-9a-hjkmnp-z]{4}$/)
  })

  test('are the same however they are typed, and another for another account or key', () => {
    const key = wrapped(Buffer.alloc(32, 1))
    const hash = (code: string, accountId = 'a', by = key) => recoveryCodeHash(by, { accountId, code }).toString('hex')
    const right = hash('abcd-efgh-jkmn')
    for (const typed of ['ABCD EFGH JKMN', 'abcdefghjkmn', ' ａｂｃｄ-efgh-jkmn']) expect(hash(typed)).toBe(right)
    expect(hash('abcd-efgh-jkmp')).not.toBe(right)
    expect(hash('abcd-efgh-jkmn', 'b')).not.toBe(right)
    expect(hash('abcd-efgh-jkmn', 'a', wrapped(Buffer.alloc(32, 2)))).not.toBe(right)
  })
})
