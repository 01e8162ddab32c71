import { isDeepStrictEqual } from 'node:util'
import type { EditableClaim } from '../config/settings/account-pages.ts'
import { allLanguages } from '../languages/index.ts'
import type { AuditedTx } from '../stores/operations/audit.ts'
import * as profiles from '../stores/people/profiles.ts'

/** Why a person cannot have a value in their profile. */
export type ClaimFlaw = 'too-long' | 'characters' | 'birthdate' | 'url' | 'zone' | 'language' | 'phone' | 'username'

type Rule = {
  longest: number
  /** Returns the value as it is stored, or `undefined` if the text is invalid. */
  read(text: string): string | undefined
  flaw: ClaimFlaw
}

const asTyped = (longest: number): Rule => ({ longest, read: (text) => text, flaw: 'characters' })
const url: Rule = { longest: 1_024, read: httpsUrl, flaw: 'url' }

/** The rules for each claim that is one text (OpenID Connect Core §5.1). */
// biome-ignore format: it is a table
const rules: Record<Exclude<EditableClaim, 'address'>, Rule> = {
  name:               asTyped(200),
  given_name:         asTyped(200),
  family_name:        asTyped(200),
  middle_name:        asTyped(200),
  nickname:           asTyped(100),
  preferred_username: { longest: 64, read: (text) => (/^[\p{L}\p{N}._-]+$/u.test(text) ? text : undefined), flaw: 'username' },
  profile:            url,
  picture:            url,
  website:            url,
  gender:             asTyped(50),
  birthdate:          { longest: 10, read: birthdate, flaw: 'birthdate' },
  zoneinfo:           { longest: 64, read: (text) => (timeZones().includes(text) ? text : undefined), flaw: 'zone' },
  locale:             { longest: 35, read: (text) => allLanguages.find((language) => language === text), flaw: 'language' },
  phone_number:       { longest: 32, read: phoneNumber, flaw: 'phone' },
}

/** The parts of an address that people fill in (OpenID Connect Core §5.1.1), in the order of an envelope. */
export const addressParts = ['street_address', 'postal_code', 'locality', 'region', 'country'] as const
export type AddressPart = (typeof addressParts)[number]

const isAddressPart = (name: string) => addressParts.some((part) => part === name)

const addressRule = asTyped(200)

/** Returns the length that a field of the profile may have. */
export function longestOf(name: Exclude<EditableClaim, 'address'> | AddressPart): number {
  return ruleOf(name).longest
}

const ruleOf = (name: string): Rule => (Object.hasOwn(rules, name) ? rules[name as keyof typeof rules] : addressRule)

/** Every time zone that a person can choose. */
export function timeZones(): readonly string[] {
  return ['UTC', ...Intl.supportedValuesOf('timeZone').filter((zone) => zone !== 'UTC')]
}

/** The fields of a profile as they were typed. A field that is not there is not changed. */
export type Typed = Partial<Record<Exclude<EditableClaim, 'address'> | AddressPart, string>>

export type Checked = { claims: Record<string, unknown>; flaws: Partial<Record<keyof Typed, ClaimFlaw>> }

/**
 * Checks the fields of a profile. An empty field removes its claim, which is then `undefined`. A field that the person
 * left as it was changes nothing, so an administrator may have set a value that a person cannot.
 */
export function check(given: Typed, editable: readonly EditableClaim[], shown: Typed): Checked {
  const isAsShown = (name: keyof Typed) => (given[name] ?? '') === (shown[name] ?? '')
  const isAddressAsShown = addressParts.every((part) => given[part] === undefined || isAsShown(part))
  const typed: Typed = Object.fromEntries(
    Object.entries(given).filter(([name]) =>
      isAddressPart(name) ? !isAddressAsShown : !isAsShown(name as keyof Typed),
    ),
  )
  const claims: Record<string, unknown> = {}
  const flaws: Checked['flaws'] = {}
  function read(name: keyof Typed): string | undefined {
    const text = (typed[name] ?? '').normalize('NFC').trim()
    if (text === '') return undefined
    const { longest, read: value, flaw } = ruleOf(name)
    if ([...text].length > longest) flaws[name] = 'too-long'
    else if (visibleOnly(text) !== text) flaws[name] = 'characters'
    else if (value(text) === undefined) flaws[name] = flaw
    return value(text)
  }
  for (const claim of editable) {
    if (claim !== 'address') {
      if (typed[claim] !== undefined) claims[claim] = read(claim)
    } else if (addressParts.some((part) => typed[part] !== undefined)) {
      const parts = addressParts.flatMap((part) => {
        const value = read(part)
        return value === undefined ? [] : [[part, value] as const]
      })
      claims['address'] =
        parts.length === 0 ? undefined : { ...Object.fromEntries(parts), formatted: parts.map(([, v]) => v).join('\n') }
    }
  }
  return { claims, flaws }
}

/**
 * Returns a claim as it is stored, if a person could have typed it. Claims without a rule of their own are texts without
 * control characters.
 */
export function storable(name: string, text: string): string | undefined {
  const { longest, read } = Object.hasOwn(rules, name) ? ruleOf(name) : asTyped(1_024)
  const value = text.normalize('NFC').trim()
  return value === '' || [...value].length > longest || visibleOnly(value) !== value ? undefined : read(value)
}

/** Returns a text without control characters, line ends and the characters that turn the direction of what follows. */
export function visibleOnly(text: string): string {
  return text.replace(/[\p{Cc}\p{Zl}\p{Zp}\u202a-\u202e\u2066-\u2069]|\p{Cs}/gu, '')
}

/**
 * Changes claims of an account as its owner wants them. A telephone number that changes is no longer verified. Returns
 * the names of the claims that changed.
 */
export async function edit(
  { tx, record }: AuditedTx,
  accountId: string,
  claims: Record<string, unknown>,
): Promise<string[]> {
  let changed: string[] = []
  await profiles.change(tx, accountId, (profile) => {
    changed = Object.keys(claims).filter((name) => !isDeepStrictEqual(claims[name], profile[name]))
    if (changed.length === 0) return undefined
    const { phone_number_verified: isVerified, ...rest } = profile
    const kept = changed.includes('phone_number') || isVerified === undefined ? rest : profile
    return { ...kept, ...Object.fromEntries(changed.map((name) => [name, claims[name]])) }
  })
  if (changed.length > 0) record({ type: 'account.updated', accountId, details: { changed } })
  return changed
}

function httpsUrl(text: string): string | undefined {
  const parsed = URL.parse(text)
  return parsed?.protocol === 'https:' && !parsed.username && !parsed.password ? text : undefined
}

/** Reads `YYYY-MM-DD`, `0000-MM-DD` or `YYYY`. A day in the future is invalid. */
function birthdate(text: string): string | undefined {
  if (/^\d{4}$/.test(text)) return isPast(`${text}-01-01`) && text >= '1850' ? text : undefined
  if (!/^\d{4}-\d{2}-\d{2}$/.test(text)) return undefined
  const day = text.startsWith('0000') ? `2000${text.slice(4)}` : text // 2000 has a 29th of February
  return isPast(day) && day >= '1850' ? text : undefined
}

function isPast(day: string): boolean {
  const date = new Date(`${day}T00:00:00Z`)
  return !Number.isNaN(date.getTime()) && date.toISOString().startsWith(day) && date.getTime() < Date.now()
}

/** Reads a number as in E.164, whatever separates its digits (OpenID Connect Core §5.1). */
function phoneNumber(text: string): string | undefined {
  const digits = text.replace(/[\s().\u00a0/-]/g, '')
  return /^\+[1-9]\d{6,14}$/.test(digits) ? digits : undefined
}
