import type { Client } from 'ldapts'
import type { LdapServer } from '../../config/settings/ldap.ts'
import { TooBusy } from '../../crypto/passwords.ts'
import { createTurns } from '../../crypto/turns.ts'
import { bindAsService, hasPassword } from './bind.ts'
import { withConnection } from './connection.ts'
import type { DirectoryPerson } from './entries.ts'
import type { DirectoryRules } from './rules.ts'
import { type Found, findByAddress, findById } from './search.ts'

/** A person of the directory, and whether the password is theirs. `not-checked` if nobody wanted to know that. */
export type Checked = { person: DirectoryPerson; password: 'right' | 'wrong' | 'not-checked' }

/** The answer of the directory. `unavailable` if none of its servers could give one. */
export type Answer = Checked | Exclude<Found, object> | 'unavailable'

/** The servers of a directory. Nothing that they answer is kept. */
export type Directory = {
  /**
   * Finds the person with an address, and checks their password if `mayCheck` agrees. The password of a disabled entry is
   * never checked.
   */
  check(attempt: {
    address: string
    password: string
    mayCheck(person: DirectoryPerson): Promise<boolean>
  }): Promise<Answer>
  /** Finds the person with an identifier, if they may still sign in. */
  findById(id: string): Promise<Found | 'unavailable'>
  /** Throws if a server cannot be used. */
  probe(server: LdapServer): Promise<void>
}

const avoidedMs = 30_000 // a server that failed comes last in this time

/** Opens the directory. If a server cannot be used, this reports it and asks the next one. */
export function createDirectory(
  rules: DirectoryRules,
  onFailure: (server: LdapServer, error: unknown) => void,
): Directory {
  const inTurn = createTurns({
    atOnce: rules.connections,
    longestQueue: rules.connections * 5,
    refusal: () => new TooBusy(),
  })
  const failedAt = new Map<LdapServer, number>()

  const isAvoided = (server: LdapServer) => Date.now() - (failedAt.get(server) ?? 0) < avoidedMs
  const inOrder = () => rules.servers.toSorted((a, b) => Number(isAvoided(a)) - Number(isAvoided(b)))

  /** Asks one server after the other until one gives an answer, each from the beginning. */
  async function ask<T>(question: (client: Client) => Promise<T>): Promise<T | 'unavailable'> {
    for (const server of inOrder()) {
      try {
        const answer = await askServer(server, question)
        failedAt.delete(server)
        return answer
      } catch (error) {
        failedAt.set(server, Date.now())
        onFailure(server, error)
      }
    }
    return 'unavailable'
  }

  const askServer = <T>(server: LdapServer, question: (client: Client) => Promise<T>) =>
    withConnection(server, rules, async (client) => {
      await bindAsService(client, rules)
      return question(client)
    })

  return {
    async check({ address, password, mayCheck }) {
      let failure: unknown // of the caller, which is no fault of a server
      const isWanted = (person: DirectoryPerson) =>
        mayCheck(person).catch((error: unknown) => {
          failure = error
          return false
        })
      const answer = await inTurn(() =>
        ask<Answer>(async (client) => {
          const found = await findByAddress(client, rules, address)
          if (typeof found === 'string') return found
          const { person } = found
          if (person.isDisabled || !(await isWanted(person))) return { person, password: 'not-checked' }
          return { person, password: (await hasPassword(client, person.dn, password)) ? 'right' : 'wrong' }
        }),
      )
      if (failure !== undefined) throw failure
      return answer
    },
    findById: (id) => inTurn(() => ask((client) => findById(client, rules, id))),
    probe: (server) =>
      askServer(server, async (client) => {
        await client.search(rules.baseDn, { scope: 'base', attributes: ['1.1'], derefAliases: 'never' })
      }),
  }
}
