import { createHash } from 'node:crypto'
import type { Language } from '../languages/index.ts'
import { quoted } from '../languages/quotation.ts'
import { isLong, isSensitive, onlyScope, valueWriter } from './consent.ts'
import { fill } from './fill.ts'
import { isLoopback, isOfApp, isVerified, knownAs, knownHost, links, type ShownClient, scheme } from './shown-client.ts'
import { filled, type Plural, type Texts } from './texts/index.ts'

const units = [
  ['year', 365 * 86_400],
  ['month', 30 * 86_400],
  ['week', 7 * 86_400],
  ['day', 86_400],
  ['hour', 3_600],
  ['minute', 60],
] as const satisfies [Intl.RelativeTimeFormatUnit, number][]

/** Creates the filters that templates of one language may use. They make the objects of `Intl` that they need: few do. */
export function createFilters(language: Language, { durations }: Texts) {
  /** Writes a number. Throws without one: a page must not show `NaN`. */
  function number(value: number): string {
    if (!Number.isFinite(value)) throw new TypeError('A number that the page shows is missing.')
    return new Intl.NumberFormat(language).format(value)
  }

  /** Returns the form of a text for a number, with the number in it. */
  function plural(forms: Plural, count: number): string {
    const form = forms[new Intl.PluralRules(language).select(count)] ?? forms.other
    return filled(form, { count: number(count) })
  }

  /** Writes a day: `4 July 2026`. */
  function date(time: Date, zone?: string): string {
    return new Intl.DateTimeFormat(language, { dateStyle: 'long', timeZone: zoneOf(zone) }).format(time)
  }

  /** Writes a day and a time, with the time zone: that of the person if it is known, and otherwise UTC. */
  function dateTime(time: Date, zone?: string): string {
    const parts = { day: 'numeric', month: 'long', year: 'numeric', hour: 'numeric', minute: '2-digit' } as const
    const options = { ...parts, timeZoneName: 'short', timeZone: zoneOf(zone) } as const
    return new Intl.DateTimeFormat(language, options).format(time)
  }

  /** Writes how long ago a time is, in the largest unit that it fills: `3 days ago`, or `yesterday`. */
  function ago(time: Date): string {
    const seconds = Math.round((time.getTime() - Date.now()) / 1000)
    const [unit, length] = units.find(([, least]) => Math.abs(seconds) >= least) ?? ['second', 1]
    return new Intl.RelativeTimeFormat(language, { numeric: 'auto' }).format(Math.trunc(seconds / length), unit)
  }

  /** Writes a list as part of a sentence: `a, b and c`. */
  function list(items: readonly string[]): string {
    return new Intl.ListFormat(language, { type: 'conjunction' }).format(items)
  }

  /** Writes a time to wait, in seconds while it is short and in minutes, rounded up, from 90 seconds on. */
  function duration(seconds: number): string {
    return seconds < 90 ? plural(durations.seconds, seconds) : plural(durations.minutes, Math.ceil(seconds / 60))
  }

  return {
    knownAs: (client: ShownClient) => knownAs(client, language),
    knownHost,
    quoted: (words: string) => quoted(words, language),
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
    number,
    date,
    dateTime,
    list,
    ago,
    duration,
    value: valueWriter(language),
    isSensitive,
    isLong,
    onlyScope,
    ids,
    languageName,
  }
}

/** Returns a time zone if it is one: a person's `zoneinfo` may be any text. */
function zoneOf(zone: string | undefined): string {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: zone ?? 'UTC' }).resolvedOptions().timeZone
  } catch {
    return 'UTC'
  }
}

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
