import type { Entry } from 'ldapts'
import { canonicalEmail } from '../../stores/people/accounts.ts'
import type { DirectoryRules } from './rules.ts'

/** A person as the directory describes them. */
export type DirectoryPerson = {
  /** The value that never changes, with the name of its attribute. */
  id: string
  dn: string
  email: string
  /** The other claims of the mapping. One that the entry has no value for is `undefined`. */
  claims: Record<string, string | undefined>
  groups: string[]
  isDisabled: boolean
}

/** Lists the attributes that a search has to ask for. */
export function attributesFor({ addressed, idAttribute, attributes, groups, disabled }: DirectoryRules): string[] {
  const listed = [
    idAttribute,
    ...addressed.map(({ attribute }) => attribute),
    ...attributes.flatMap(({ names }) => names),
    ...(groups && 'attribute' in groups ? [groups.attribute] : []),
    ...disabled.map(({ attribute }) => attribute),
  ]
  return [...new Set(listed)]
}

/** Reads a person, still without groups. `undefined` if the entry lacks its identifier or an address. */
export function personOf(entry: Entry, rules: DirectoryRules): DirectoryPerson | undefined {
  const id = idOf(entry, rules.idAttribute)
  const given = rules.attributes.map(({ claim, names }) => [
    claim,
    names.flatMap((name) => textsOf(entry, name)).find((text) => text !== ''),
  ])
  const { email, ...claims }: Record<string, string | undefined> = Object.fromEntries(given)
  if (id === undefined || email === undefined) return undefined
  return { id, dn: entry.dn, email, claims, groups: [], isDisabled: isDisabled(entry, rules) }
}

/** Returns the identifier of an entry as `attribute:value`, with a binary value in hexadecimal. */
function idOf(entry: Entry, attribute: string): string | undefined {
  const values = valuesOf(entry, attribute)
  const [value] = values
  if (values.length !== 1 || value === undefined || value.length === 0) return undefined
  const isText = typeof value === 'string' && !isBinary(attribute)
  return `${attribute.toLowerCase()}:${isText ? value : Buffer.from(value).toString('hex')}`
}

/** Returns the value of an identifier as a search has to send it. `undefined` if it is of another attribute. */
export function valueOfId(id: string, attribute: string): string | Buffer | undefined {
  const prefix = `${attribute.toLowerCase()}:`
  if (!id.startsWith(prefix)) return undefined
  const value = id.slice(prefix.length)
  return isBinary(attribute) ? Buffer.from(value, 'hex') : value
}

/** Returns whether the values of an attribute are bytes, also when they happen to be text. */
export const isBinary = (attribute: string): boolean => /^object(guid|sid)$/i.test(attribute)

function isDisabled(entry: Entry, { disabled }: DirectoryRules): boolean {
  return disabled.some((rule) =>
    textsOf(entry, rule.attribute).some((text) =>
      'bits' in rule ? (Number(text) & rule.bits) !== 0 : text.toLowerCase() === rule.value.toLowerCase(),
    ),
  )
}

/**
 * Returns whether an entry has exactly this address. A directory compares more loosely, without accents or invisible
 * characters: each such spelling would have attempts of its own at the password.
 */
export function hasAddress(entry: Entry, { addressed }: DirectoryRules, address: string): boolean {
  return addressed.some(({ attribute, text }) => {
    const wanted = canonicalEmail(text.replaceAll('{address}', () => address))
    return textsOf(entry, attribute).some((value) => canonicalEmail(value) === wanted)
  })
}

/** Returns the values of an attribute that are text. */
export function textsOf(entry: Entry, name: string): string[] {
  return valuesOf(entry, name).flatMap((value) => (typeof value === 'string' ? [value.trim()] : []))
}

function valuesOf(entry: Entry, name: string): (string | Buffer)[] {
  const found = Object.entries(entry).find(([key]) => key !== 'dn' && key.toLowerCase() === name.toLowerCase())
  return found ? [found[1]].flat() : []
}
