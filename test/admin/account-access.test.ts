import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { operate } from '../support/operator.ts'
import { password, startPostern, type TestPostern } from '../support/postern.ts'

let postern: TestPostern
beforeAll(async () => {
  postern = await startPostern({ PASSWORD_MIN_LENGTH: '10' })
})
afterAll(() => postern?.stop())

const email = 'ada@example.com'

describe('a password that an administrator sets', () => {
  test('follows the rules for passwords, and a rejected one changes nothing', async () => {
    const create = (given: string, name?: string) =>
      operate(postern, 'account create', { email, password: given, name })
    await expect(create('gvqzhwktm')).rejects.toThrow('must have at least 10 characters')
    await expect(create('horse '.repeat(34))).rejects.toThrow('must have at most 200 characters')
    await expect(create('basketball1')).rejects.toThrow('guessed first')
    await expect(create('Lovelace-1815', 'Ada Lovelace')).rejects.toThrow("person's own name")
    await expect(create('localhost12')).rejects.toThrow('this service')
    expect(await postern.database.query('select 1 from accounts')).toEqual([])

    await operate(postern, 'account create', { email, password, claims: { name: 'Ada Lovelace' } })
    const [before] = await postern.database.query('select hash, epoch from password_credentials, accounts')
    const set = (given: string) => operate(postern, 'account set-password', { account: email, password: given })
    await expect(set('Lovelace-1815')).rejects.toThrow("person's own name")
    expect(await postern.database.query('select hash, epoch from password_credentials, accounts')).toEqual([before])
    await expect(set('gvqzhwktmp')).resolves.toMatchObject({ email })
  })
})
