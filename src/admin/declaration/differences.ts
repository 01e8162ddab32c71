import { isDeepStrictEqual } from 'node:util'

/** A member that is not as it is declared to be. `undefined` is one that is not there. */
export type Difference = { member: string; before?: unknown; after?: unknown }

type Members = Readonly<Record<string, unknown>>

// RFC 6749 §3.3: the order of scope tokens does not matter.
const setsOfWords = ['scope', 'required_scopes']

/** In what two things differ. The order of a list counts only for the `ordered` members. */
export function differencesBetween(
  before: Members,
  after: Members,
  { ordered = [] }: { ordered?: readonly string[] } = {},
): Difference[] {
  return [...new Set([...Object.keys(before), ...Object.keys(after)])]
    .filter((member) => !isSame(member, before[member], after[member], ordered.includes(member)))
    .map((member) => ({ member, before: before[member], after: after[member] }))
}

/** Whether two values of a member come to the same. */
export function isSame(member: string, one: unknown, other: unknown, isOrdered = false): boolean {
  return isDeepStrictEqual(comparable(member, one, isOrdered), comparable(member, other, isOrdered))
}

/** Everything that is said of a thing that is not there yet. */
export function allOf(members: Members): Difference[] {
  return differencesBetween({}, members)
}

/** Members of members as members of their own: `redirect_uris.hosts`. */
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
