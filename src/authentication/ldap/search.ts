import { AndFilter, type Client, type Entry, EqualityFilter, type Filter, FilterParser } from 'ldapts'
import { isBelow, lowestValue } from './distinguished-names.ts'
import { attributesFor, type DirectoryPerson, hasAddress, isBinary, personOf, textsOf, valueOfId } from './entries.ts'
import type { DirectoryRules } from './rules.ts'

const mostGroups = 1_000

/** A person, or why nobody was found: no entry, several of them, or one without identifier or address. */
export type Found = { person: DirectoryPerson } | 'none' | 'several' | 'incomplete'

/** Finds the one person with an address. */
export function findByAddress(client: Client, rules: DirectoryRules, address: string): Promise<Found> {
  const filter = filterFor(rules.userFilter, '{address}', address)
  return find(client, rules, filter, (entry) => hasAddress(entry, rules, address))
}

/**
 * Finds the person with an identifier, if they may still sign in: their entry has to match the filter for sign-ins as well,
 * with the address that it has now.
 */
export async function findById(client: Client, rules: DirectoryRules, id: string): Promise<Found> {
  const value = valueOfId(id, rules.idAttribute)
  if (value === undefined) return 'none'
  const isIt = new EqualityFilter({ attribute: rules.idAttribute, value })
  const found = await find(client, rules, isIt)
  if (typeof found === 'string') return found
  const mayStillSignIn = FilterParser.parseString(withValue(rules.userFilter, '{address}', found.person.email))
  return find(client, rules, new AndFilter({ filters: [isIt, mayStillSignIn] }))
}

async function find(
  client: Client,
  rules: DirectoryRules,
  filter: Filter,
  isMeant: (entry: Entry) => boolean = () => true,
): Promise<Found> {
  const attributes = attributesFor(rules)
  const entries = await search(client, rules, { base: rules.baseDn, filter, attributes, most: 2 })
  const [entry, other] = entries
  if (!entry) return 'none'
  if (other) return 'several'
  if (!isMeant(entry)) return 'none'
  const person = personOf(entry, rules)
  if (!person) return 'incomplete'
  return { person: { ...person, groups: await groupsOf(client, rules, entry) } }
}

/** Lists the groups of an entry by their common names, those below the base for groups. */
async function groupsOf(client: Client, rules: DirectoryRules, entry: Entry): Promise<string[]> {
  const { groups, groupsBaseDn: base } = rules
  if (!groups) return []
  const names =
    'attribute' in groups
      ? textsOf(entry, groups.attribute)
      : await search(client, rules, {
          base,
          filter: filterFor(groups.filter, '{dn}', entry.dn),
          attributes: ['1.1'], // none
          most: mostGroups,
        }).then((found) => found.map(({ dn }) => dn))
  const common = names.filter((name) => isBelow(name, base)).flatMap((name) => lowestValue(name) ?? [])
  return [...new Set(common)].sort().slice(0, mostGroups)
}

/** Searches without following a referral or an alias: only the servers of the settings are ever asked. */
async function search(
  client: Client,
  { timeoutMs }: DirectoryRules,
  { base, filter, attributes, most }: { base: string; filter: Filter; attributes: string[]; most: number },
): Promise<Entry[]> {
  const { searchEntries } = await client.search(base, {
    scope: 'sub',
    derefAliases: 'never',
    filter,
    attributes,
    explicitBufferAttributes: attributes.filter(isBinary),
    sizeLimit: most,
    timeLimit: Math.ceil(timeoutMs / 1_000),
  })
  return searchEntries
}

const filterFor = (template: string, part: string, value: string) =>
  FilterParser.parseString(withValue(template, part, value))

// As a function: in a text, `$&` of the value would mean something to replaceAll.
const withValue = (template: string, part: string, value: string) => template.replaceAll(part, () => escaped(value))

/** Escapes a value of a filter (RFC 4515 §3), so that it can only be compared. */
export function escaped(value: string): string {
  return value.replace(/[*()\\\0]/g, (character) => `\\${character.charCodeAt(0).toString(16).padStart(2, '0')}`)
}
