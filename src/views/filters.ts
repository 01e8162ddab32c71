import { createHash } from 'node:crypto'
import type { Language } from '../languages/index.ts'
import { isLong, isSensitive, onlyScope, valueWriter } from './consent.ts'
import { fill } from './fill.ts'
import { isLoopback, isOfApp, isVerified, knownAs, knownHost, links, quoted, scheme } from './shown-client.ts'
import { filled, type Plural, type Texts } from './texts/index.ts'

/** Creates the filters that templates of one language may use. */
export function createFilters(language: Language, { durations }: Texts) {
  const plurals = new Intl.PluralRules(language)
  const numbers = new Intl.NumberFormat(language)

  /** Returns the form of a text for a number, with the number in it. */
  function plural(forms: Plural, count: number): string {
    return filled(forms[plurals.select(count)] ?? forms.other, { count: numbers.format(count) })
  }

  /** Writes a time to wait, in seconds while it is short and in minutes, rounded up, from 90 seconds on. */
  function duration(seconds: number): string {
    return seconds < 90 ? plural(durations.seconds, seconds) : plural(durations.minutes, Math.ceil(seconds / 60))
  }

  /** Writes a day in a time zone. */
  function day(at: Date, zone: string): string {
    return new Intl.DateTimeFormat(language, { dateStyle: 'long', timeZone: zone }).format(at.getTime())
  }

  /** Writes a day and a time in a time zone, and which one it is. */
  function moment(at: Date, zone: string): string {
    return new Intl.DateTimeFormat(language, { ...momentFormat, timeZone: zone }).format(at.getTime())
  }

  return {
    knownAs,
    knownHost,
    quoted,
    isVerified,
    isLoopback,
    isOfApp,
    scheme,
    links,
    monogram,
    tint,
    address,
    fill,
    plural,
    duration,
    day,
    moment,
    value: valueWriter(language),
    isSensitive,
    isLong,
    onlyScope,
    ids,
    languageName,
  }
}

const momentFormat = {
  day: 'numeric',
  month: 'short',
  year: 'numeric',
  hour: 'numeric',
  minute: '2-digit',
  timeZoneName: 'short',
} as const

const languageNames = new Map<string, string>()

/** Returns the name of a language in that language: `Deutsch`. */
function languageName(tag: string): string {
  const known = languageNames.get(tag)
  if (known !== undefined) return known
  const name = new Intl.DisplayNames([tag], { type: 'language' }).of(tag) ?? tag
  const [first = '', ...rest] = name
  const shown = first.toLocaleUpperCase(tag) + rest.join('')
  languageNames.set(tag, shown)
  return shown
}

/** Returns the first letter or digit of a name. It is never a quotation mark, a "<" or half an emoji. */
function monogram(name: string): string {
  return (/[\p{L}\p{N}]/u.exec(name.normalize('NFC'))?.[0] ?? '•').toLocaleUpperCase()
}

/** Returns the colour of a host, always the same, so that two apps with one name seldom look the same. */
function tint(host: string): number {
  const tints = 6 // as many as the style sheet has
  return (createHash('sha256').update(host).digest()[0] ?? 0) % tints
}

/** Writes an identifier as people read addresses: `https://api.example.com/` is `api.example.com`. */
function address(identifier: string): string {
  return identifier.replace(/^https?:\/\//, '').replace(/\/$/, '')
}

/** Writes the ids that an attribute refers to, without those that are not there. */
function ids(list: readonly unknown[]): string {
  return list.filter(Boolean).join(' ')
}
