import type { Postern } from '../src/assemble/index.ts'
import * as accounts from '../src/stores/people/accounts.ts'
import * as deletions from '../src/stores/people/deletions.ts'

/** The state of the account that an address has, if it has one. */
export const kinds = ['unknown', 'known', 'unverified', 'disabled', 'invited', 'leaving', 'deleted'] as const

/** Returns the address of a kind. All are of one length, because pages repeat them. */
export const addressOf = (name: string): string => `${name.padEnd(10, '-')}@example.com`

export const password = 'correct horse battery staple'

/** Creates an account for each kind of address, and one for the person who asks. */
export async function createPeople({ database, passwords }: Postern): Promise<void> {
  const passwordHash = await passwords.hash(password)
  await database.db.transaction().execute(async (tx) => {
    const create = async (name: string, details: Partial<accounts.NewAccount> = {}) => {
      const account = { email: addressOf(name), emailVerified: true, profile: {}, passwordHash, ...details }
      const created = await accounts.create(tx, account)
      return created === 'email-taken' ? '' : created.id
    }
    await create('asker')
    await create('known')
    await create('unverified', { emailVerified: false })
    await create('invited', { emailVerified: false, passwordHash: undefined })
    await accounts.disable(tx, await create('disabled'))
    await deletions.schedule(tx, await create('leaving'), new Date(Date.now() + 86_400_000))
    await accounts.destroy(tx, await create('deleted'))
  })
}
