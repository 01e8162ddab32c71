import { isDeepStrictEqual } from 'node:util'

/** A member that differs from its declaration. `undefined` means that the member is absent. */
export type Difference = { member: string; before?: unknown; after?: unknown }

type Members = Readonly<Record<string, unknown>>

// RFC 6749 §3.3: the order of scope tokens does not matter.
const setsOfWords = ['scope', 'required_scopes']

/** Returns the members that differ between two objects. The order of a list matters only for the `ordered` members. */
export function differencesBetween(
  before: Members,
  after: Members,
  { ordered = [] }: { ordered?: readonly string[] } = {},
): Difference[] {
  return [...new Set([...Object.keys(before), ...Object.keys(after)])]
    .filter((member) => !isSame(member, before[member], after[member], ordered.includes(member)))
    .map((member) => ({ member, before: before[member], after: after[member] }))
}

/** Tells whether two values of a member are equivalent. */
export function isSame(member: string, one: unknown, other: unknown, isOrdered = false): boolean {
  return isDeepStrictEqual(comparable(member, one, isOrdered), comparable(member, other, isOrdered))
}

/** Returns all members of an object that does not exist yet, as differences. */
export function allOf(members: Members): Difference[] {
  return differencesBetween({}, members)
}

/** Turns members of members into members of the object itself, with names such as `redirect_uris.hosts`. */
export function flatten(members: Members): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(members).flatMap(([name, value]) =>
      isObject(value)
        ? Object.entries(value).map(([inner, innermost]) => [`${name}.${inner}`, innermost])
        : [[name, value]],
    ),
  )
}

function comparable(member: string, value: unknown, isOrdered: boolean): unknown {
  const items = typeof value === 'string' && setsOfWords.includes(member) ? value.split(' ') : value
  if (isOrdered || !Array.isArray(items) || !items.every((item) => typeof item === 'string')) return items
  return [...new Set(items)].sort()
}

const isObject = (value: unknown): value is object =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
