import argon2 from 'argon2'
import { describe, expect, test } from 'vitest'
import { createPasswords, decoyHash, TooBusy } from '../../src/crypto/passwords.ts'

const together = 2 + 64 // the number checked at once, and the number that may wait

describe('a password', () => {
  const passwords = createPasswords()

  test('is stored as argon2id with 19 MiB, two passes and one lane, as OWASP recommends', async () => {
    expect(await passwords.hash('correct horse')).toMatch(/^\$argon2id\$v=19\$m=19456,p=1,t=2\$/)
  })

  test('is recognized, and no other one is', async () => {
    const hash = await passwords.hash('correct horse')
    expect(await passwords.verify(hash, 'correct horse')).toEqual({ matches: true, renewed: undefined })
    for (const wrong of ['correct Horse', 'correct horse ', 'correct hors', '', hash]) {
      expect(await passwords.verify(hash, wrong)).toEqual({ matches: false, renewed: undefined })
    }
  })

  test('has a different hash each time', async () => {
    expect(await passwords.hash('same')).not.toBe(await passwords.hash('same'))
  })

  test('hashed with outdated parameters is still recognized, and hashed again with those of today', async () => {
    const weaker = await argon2.hash('correct horse', {
      type: argon2.argon2id,
      memoryCost: 4096,
      timeCost: 2,
      parallelism: 1,
    })
    const { matches, renewed = '' } = await passwords.verify(weaker, 'correct horse')
    expect(matches).toBe(true)
    expect(await passwords.verify(renewed, 'correct horse')).toEqual({ matches: true, renewed: undefined })
    expect(await passwords.verify(weaker, 'wrong')).toEqual({ matches: false, renewed: undefined })
  })

  const [composed, decomposed] = ['pässwörd café'.normalize('NFC'), 'pässwörd café'.normalize('NFD')]
  test.each([
    ['composed', composed, 'decomposed', decomposed],
    ['decomposed', decomposed, 'composed', composed],
    ['with a space of another width', 'correct\u00a0horse', 'with a plain one', 'correct horse'],
  ])('set %s is recognized when it is typed %s', async (_set, set, _typed, typed) => {
    const hash = await passwords.hash(set)
    for (const form of [set, typed]) {
      expect(await passwords.verify(hash, form)).toEqual({ matches: true, renewed: undefined })
    }
    expect((await passwords.verify(hash, `${typed}!`)).matches).toBe(false)
  })

  test.each([
    ['composed', composed, decomposed],
    ['decomposed', decomposed, composed],
  ])(
    'hashed %s, as it was typed at the time, is recognized in both forms and hashed again',
    async (_how, then, other) => {
      const today = { type: argon2.argon2id, memoryCost: 19_456, timeCost: 2, parallelism: 1 } as const
      const former = await argon2.hash(then, today)
      for (const typed of [then, other]) {
        const { matches, renewed = former } = await passwords.verify(former, typed)
        expect(matches).toBe(true)
        expect(await passwords.verify(renewed, composed)).toEqual({ matches: true, renewed: undefined })
      }
    },
  )

  test('of an unknown account is compared with a hash of the same parameters, so that it costs the same', async () => {
    const parametersOf = (hash: string) => /^\$argon2id\$v=19\$([^$]+)\$/.exec(hash)?.[1]?.split(',').toSorted()
    expect(parametersOf(decoyHash)).toEqual(parametersOf(await passwords.hash('correct horse')))
    expect(decoyHash).toHaveLength((await passwords.hash('correct horse')).length)
    expect((await passwords.verify(decoyHash, '')).matches).toBe(false)
  })
})

describe('more passwords than can be checked at once', () => {
  test('wait up to a limit, and beyond it are refused at once', async () => {
    const passwords = createPasswords()
    const hash = await passwords.hash('x')
    const attempts = Array.from({ length: together + 10 }, () => passwords.verify(hash, 'x').catch((error) => error))
    const refused = await Promise.all(attempts.slice(together)) // ahead of those that wait
    expect(refused.every((error) => error instanceof TooBusy)).toBe(true)
    const verified = await Promise.all(attempts.slice(0, together))
    expect(verified.filter(({ matches }) => matches)).toHaveLength(together)
  })

  test('leave room again when they are done, also after a failure', async () => {
    const passwords = createPasswords()
    const broken = Array.from({ length: together }, () => passwords.verify('not a hash', 'x'))
    expect((await Promise.allSettled(broken)).every(({ status }) => status === 'rejected')).toBe(true)
    const hash = await passwords.hash('x')
    const attempts = Array.from({ length: together }, () => passwords.verify(hash, 'x'))
    expect((await Promise.all(attempts)).every(({ matches }) => matches)).toBe(true)
  })

  test('do not make administrators wait, who have a queue of their own', async () => {
    const passwords = createPasswords()
    const hash = await passwords.hash('x')
    const attempts = Array.from({ length: together }, () => passwords.verify(hash, 'x'))
    await expect(passwords.verify(hash, 'x')).rejects.toThrow(TooBusy)
    expect(await passwords.hash('administrator')).toMatch(/^\$argon2id/)
    await Promise.all(attempts)
  })
})
