import type { Directory } from '../authentication/ldap/directory.ts'
import type { DirectoryPerson } from '../authentication/ldap/entries.ts'
import type { DirectorySignIn } from '../authentication/sign-in.ts'
import type { Db } from '../database/schema.ts'
import * as directoryAccounts from '../stores/people/directory-accounts.ts'
import type { Acting } from './acting.ts'
import * as accounts from './directory.ts'

/** The directory, and the accounts of its people. */
export type DirectoryAccounts = DirectorySignIn & {
  /** Returns whether an address is in a domain that the directory is the authority of. */
  isAuthority(email: string): boolean
  /** Returns whether an account belongs to an entry, so that only the directory can change its password. */
  has(accountId: string): Promise<boolean>
  /**
   * Returns whether the person of an account may still sign in: always, if the account is a local one. Otherwise the sessions
   * and tokens of the account end.
   */
  isStillIn(accountId: string): Promise<boolean | 'unavailable'>
  /**
   * Returns whether the entry of an account is there and not disabled. Brings the account up to date with it, or ends its
   * sessions and tokens.
   */
  recheck(account: Linked): Promise<boolean | 'unavailable'>
  /** The page where people change their password. */
  passwordUrl: string | undefined
}

type Linked = Pick<directoryAccounts.DirectoryAccount, 'accountId' | 'entryId'>

// No person makes these changes: the directory does.
const byDirectory = { actor: 'system' } as const

/** Lets people of the directory sign in. Their accounts are created and updated as they do. */
export function createDirectoryAccounts({
  db,
  act,
  directory,
  authority,
  passwordUrl,
}: {
  db: Db
  act: Acting
  directory: Directory
  authority: accounts.DirectoryAuthority
  passwordUrl: string | undefined
}): DirectoryAccounts {
  const isAuthority = (email: string) => accounts.isAuthorityOf(authority, email)
  const isAdmissible = async (person: DirectoryPerson) =>
    typeof (await accounts.plan(db, person, authority)) !== 'string'

  return {
    isAuthority,
    passwordUrl,
    isAsked: (email) => authority.domains.length === 0 || isAuthority(email),

    async signIn({ email, password, mayCheck }) {
      // The directory sees a password only where it could sign somebody in: it may be that of a local account.
      const answer = await directory.check({
        address: email,
        password,
        mayCheck: async (person) => mayCheck && isAdmissible(person),
      })
      if (answer === 'unavailable') return { refused: answer, overrules: false }
      const overrules = answer !== 'none' && isAuthority(email)
      if (typeof answer === 'string') return { refused: answer, overrules }
      const { person } = answer
      if (answer.password === 'right') {
        const admitted = await act(byDirectory, (context) => accounts.admit(context, person, authority))
        return typeof admitted === 'string' ? { refused: admitted, overrules } : { account: admitted }
      }
      if (answer.password === 'wrong') return { refused: 'wrong-password', overrules }
      if (person.isDisabled) return { refused: 'disabled', overrules }
      const planned = await accounts.plan(db, person, authority)
      return { refused: typeof planned === 'string' ? planned : 'not-checked', overrules }
    },

    has: async (accountId) => (await directoryAccounts.findByAccount(db, accountId)) !== undefined,

    async isStillIn(accountId) {
      const linked = await directoryAccounts.findByAccount(db, accountId)
      if (!linked) return true
      return recheck(linked)
    },

    recheck,
  }

  async function recheck({ accountId, entryId }: Linked): Promise<boolean | 'unavailable'> {
    const found = await directory.findById(entryId)
    if (found === 'unavailable') return found
    const person = typeof found === 'object' && !found.person.isDisabled ? found.person : undefined
    await act(byDirectory, async (context) => {
      if (person) await accounts.refresh(context, accountId, person, authority)
      else await accounts.end(context, accountId)
    })
    return person !== undefined
  }
}
