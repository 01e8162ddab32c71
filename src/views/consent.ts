import type { Language } from '../languages/index.ts'
import type { ConsentItem, ConsentPage, ShownValue } from './pages/consent.ts'

type Asked = Pick<ConsentPage, 'scopes' | 'claims' | 'resources'>

/**
 * Returns whether a scope lets an app change or delete things, administer this server, or act while the person is away.
 * An API's scopes have no other sign of that than their names, such as `files:write` or `mail.send`.
 */
export function isSensitive(scope: string): boolean {
  if (scope === 'offline_access') return true
  if (scope.startsWith('postern:')) return !scope.endsWith(':read')
  const words = scope.toLowerCase().split(/[^\p{L}\p{N}*]+/u)
  return words.some((word) => farReaching.has(word))
}

const farReaching = new Set(
  'write delete remove admin manage send create update edit modify full all * root owner pay transfer'.split(' '),
)

/**
 * Returns the one scope that an app asks for, if there is no more to decide than whether to continue. A person who has
 * shared something before may go back to the app without sharing this as well, so they get a box to untick.
 */
export function onlyScope({
  scopes,
  claims,
  resources,
  isFirst,
}: Asked & { isFirst: boolean }): ConsentItem | undefined {
  const [only, ...others] = [...scopes, ...claims, ...resources.flatMap(({ scopes }) => scopes)]
  return only && isFirst && others.length === 0 && scopes.length === 1 && !isSensitive(only.name) ? only : undefined
}

const shortest = 5 // things to decide on that need more than the height of a small screen

/** Returns whether a page is better in two columns, where there is room for them. */
export function isLong({ scopes, claims, resources }: Asked): boolean {
  return scopes.length + claims.length + resources.reduce((sum, { scopes }) => sum + 1 + scopes.length, 0) >= shortest
}

/** Creates a function that writes a person's value as their language does: a day of birth, the name of a language. */
export function valueWriter(language: Language): (shown: ShownValue) => string {
  const languages = new Intl.DisplayNames(language, { type: 'language' })
  const day = dateWriter(language, { day: 'numeric', month: 'long', year: 'numeric' })
  const dayWithoutYear = dateWriter(language, { day: 'numeric', month: 'long' })

  return ({ claim, value }) => {
    if (claim === 'birthdate') return value.startsWith('0000-') ? dayWithoutYear(`2000${value.slice(4)}`) : day(value)
    if (claim === 'locale') return nameOf(value.replaceAll('_', '-'))
    return value
  }

  function nameOf(locale: string): string {
    try {
      return languages.of(locale) ?? locale
    } catch {
      return locale // not a language tag, which only the account's administrator can correct
    }
  }
}

/** Writes a date such as `1815-12-10` (OpenID Connect Core §5.1). Whatever has another form stays as it is. */
function dateWriter(language: Language, parts: Intl.DateTimeFormatOptions): (value: string) => string {
  const format = new Intl.DateTimeFormat(language, { ...parts, timeZone: 'UTC' })
  return (value) => {
    const date = new Date(`${value}T00:00:00Z`)
    return /^\d{4}-\d{2}-\d{2}$/.test(value) && !Number.isNaN(date.getTime()) ? format.format(date) : value
  }
}
