import { randomBytes } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { loadCommonPasswords } from '../../src/accounts/common-passwords.ts'
import { checkPassword } from '../../src/accounts/password-rules.ts'

const ada = { email: 'ada.lovelace@analytical.example', name: 'Zoë Ada King' }
const service = { serviceName: 'Acme Portal', minLength: 8 }
const check = (password: string) => checkPassword(password, ada, service)

describe('NIST SP 800-63B-4 §3.1.1.2: a new password', () => {
  test.each([
    ['of eight characters, without capitals, digits or signs', 'gvqzhwkt'],
    ['of 200 characters', 'correct horse '.repeat(15).slice(0, 200)],
    ['of any script', 'вкусный чайник'],
    ['of characters outside the basic plane', '🐎🔋📎✅🦊🐢🐝🍄'],
    ['that only mentions its owner', 'ada fed eleven hungry parrots'],
    ['that only mentions the service', 'acme never sold me one anvil'],
  ])('%s is accepted', async (_, password) => {
    expect(await check(password)).toBeUndefined()
  })

  test.each([
    ['seven characters', 'gvqzhwk'],
    ['seven characters of two code units each', '🐎🔋📎✅🦊🐢🐝'],
    ['seven letters, typed as fourteen code points', 'äëïöüÿñ'.normalize('NFD')],
  ])('of %s is too short', async (_, password) => {
    expect(await check(password)).toBe('too-short')
  })

  test('is as long as the setting says, counted in characters and not in bytes', async () => {
    const strict = { ...service, minLength: 15 }
    expect(await checkPassword('gvqzhwktmpxbrd', ada, strict)).toBe('too-short')
    expect(await checkPassword('gvqzhwktmpxbrdn', ada, strict)).toBeUndefined()
    expect(await check(`${'ж'.repeat(100)}${'ü'.repeat(99)}q`)).toBeUndefined()
    expect(await check(`${'ж'.repeat(100)}${'ü'.repeat(99)}qx`)).toBe('too-long')
  })

  test.each([
    'password1',
    'PassWord1',
    'iloveyou1',
    'qwertyuiop',
    '1qaz2wsx',
    'Trustno1',
    'aaaaaaaaaaaa',
    'abababababab',
    '123456789012',
    '98765432',
    'abcdefghijkl',
  ])('%s is common', async (password) => {
    expect(await check(password)).toBe('common')
  })

  test.each([
    ada.email,
    ada.email.toUpperCase(),
    'ada.lovelace',
    'AdaLovelace1815',
    'lovelace!!',
    '12-lovelace-xyz',
    'zoëadaking',
    'ZOEADAKING2024!',
    'analytical1',
  ])('%s is about the person', async (password) => {
    expect(await check(password)).toBe('about-you')
  })

  test.each(['acmeportal', 'Acme Portal 2026', 'ACME-1234', 'portal!!1'])(
    '%s is about the service',
    async (password) => {
      expect(await check(password)).toBe('about-service')
    },
  )

  test('is not refused for a name that is in almost any word', async () => {
    const li = { email: 'a@b.example', name: 'Li Ng' }
    expect(await checkPassword('livingroomsofa', li, service)).toBeUndefined()
    expect(await checkPassword('gvqzhwkt', { email: 'x@y.example' }, { ...service, serviceName: '' })).toBeUndefined()
  })
})

describe('the list of common passwords', () => {
  test('has 130,000 entries, and finds those it is known to have in any case', async () => {
    const list = await loadCommonPasswords()
    expect(list.size).toBeGreaterThan(129_900)
    const known = [
      'password',
      '12345678',
      'football',
      'baseball',
      'superman',
      'jennifer',
      'sunshine',
      'iloveyou',
      'starwars',
      'computer',
      'michelle',
      'princess',
      'corvette',
      'blink182',
      'abcd1234',
      'q1w2e3r4',
      'letmein1',
      'p@ssw0rd',
      'dragon123',
      'manchester',
    ]
    expect(known.filter((password) => !list.has(password))).toEqual([])
    expect(known.filter((password) => !list.has(password.toUpperCase()))).toEqual([])
  })

  test('takes fewer than 1 in 10,000 other passwords for common ones', async () => {
    const list = await loadCommonPasswords()
    const wrong = Array.from({ length: 100_000 }, () => randomBytes(12).toString('base64url')).filter(list.has)
    expect(wrong.length).toBeLessThanOrEqual(10)
  })
})
