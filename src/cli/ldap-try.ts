import { claimsOf, isAuthorityOf, plan } from '../accounts/directory.ts'
import type { Postern } from '../assemble/index.ts'
import type { Answer } from '../authentication/ldap/directory.ts'
import { styleFor } from '../log/style.ts'
import * as accounts from '../stores/people/accounts.ts'
import type { Command } from './command.ts'
import { asText } from './tables.ts'
import { Usage } from './usage.ts'

/** `postern ldap try`, which shows the entry of an address and what a sign-in would make of it, and changes nothing. */
export const ldapTry: Command = {
  name: 'ldap try',
  summary: 'Show what the LDAP directory says about an address, and what a sign-in would change',
  notes: 'It changes nothing and checks no password. It exits with status 1 if nobody could sign in with the address.',
  options: {
    address: { description: 'The email address, as a person types it.', value: 'text', isRequired: true },
    json: { description: 'Show JSON, which is the default without a terminal.', group: 'Output' },
  },
  operand: 'address',
  async run({ address, json }, { env, withPostern }) {
    const outcome = await withPostern((postern) => examine(postern, String(address)))
    if (outcome.sign_in === 'refused') process.exitCode = 1
    const { isTTY, columns } = process.stdout
    process.stdout.write(
      isTTY && !json
        ? asText(outcome, { width: columns || 80, style: styleFor(process.stdout, env) })
        : `${JSON.stringify(outcome, null, 2)}\n`,
    )
  },
}

const reasons: Record<string, string> = {
  none: 'No entry has this address and matches LDAP_USER_FILTER.',
  several: 'Several entries match LDAP_USER_FILTER with this address.',
  incomplete: 'The entry lacks the attribute of LDAP_ID_ATTRIBUTE, or an address.',
  unavailable: 'No server of LDAP_URL gave an answer. postern doctor says why.',
  disabled: 'The entry is disabled: LDAP_DISABLED.',
  'address-taken': 'A local account has this address, and its domain is not in LDAP_DOMAINS.',
  'recycled-address': 'The account with this address belongs to another entry.',
  'disabled-here': 'The account is disabled.',
}

type Outcome = { sign_in: 'allowed' | 'refused'; [name: string]: unknown }

async function examine({ directory, config, database: { db } }: Postern, typed: string): Promise<Outcome> {
  if (!directory) throw new Usage('There is no directory: LDAP_URL is not set. See docs/ldap.md.')
  const address = accounts.canonicalEmail(typed)
  const authority = { domains: config.LDAP_DOMAINS }
  if (config.LDAP_DOMAINS.length > 0 && !isAuthorityOf(authority, address)) {
    return refused('The directory is not asked about this address: its domain is not in LDAP_DOMAINS.')
  }
  const answer: Answer = await directory.check({ address, password: '', mayCheck: async () => false })
  if (typeof answer === 'string') return refused(reasons[answer])
  const { person } = answer
  const claims = claimsOf(person)
  const ignored = Object.keys(claims).filter((name) => claims[name] === undefined && person.claims[name] !== undefined)
  const described = {
    entry: person.dn,
    id: person.id,
    email: person.email,
    email_verified: isAuthorityOf(authority, person.email),
    claims: JSON.parse(JSON.stringify(claims)),
    ...(ignored.length > 0 && { ignored_claims: ignored }),
    groups: person.groups,
  }
  if (person.isDisabled) return { ...refused(reasons['disabled']), ...described }
  const planned = await plan(db, person, authority)
  if (typeof planned === 'string') return { ...refused(reasons[planned]), ...described }
  const { account, isLinked } = planned
  return {
    sign_in: 'allowed',
    change: account
      ? isLinked
        ? 'The account is updated.'
        : 'The local account is linked.'
      : 'An account is created.',
    ...(account && { account_id: account.id }),
    ...described,
  }
}

const refused = (reason: string | undefined): Outcome => ({ sign_in: 'refused', reason })
