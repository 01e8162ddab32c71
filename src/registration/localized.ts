import { z } from 'zod'
import { canonicalTag } from '../languages/lookup.ts'
import { displayName } from './names.ts'

const uri = z.string().min(1).optional()

/** The members of metadata that a client may have in several languages (OpenID Connect Registration 1.0 §2.1). */
const inOneLanguage = z.strictObject({
  client_name: displayName.optional(),
  client_uri: uri,
  logo_uri: uri,
  policy_uri: uri,
  tos_uri: uri,
})

type LocalizedMember = keyof typeof inOneLanguage.shape

/** The schema of a language tag, in its canonical spelling. */
export const languageTag = z.string().refine((tag) => canonicalTag(tag) === tag, {
  error: 'must be a language tag in its usual spelling, such as de or zh-Hans (RFC 5646)',
})

/** The schema of these members by language. */
export const localized = z.record(languageTag, inOneLanguage)

/** The names and links of a client by language. */
export type Localized = z.output<typeof localized>

const isTagged = /^([a-z_]+)#(.+)$/

/** Gathers members such as `client_name#de` in the one member `localized`, and leaves out those without a meaning. */
export function gathered<Metadata extends Record<string, unknown>>(metadata: Metadata): Metadata {
  const byLanguage: Record<string, Record<string, unknown>> = {}
  for (const [key, value] of Object.entries(metadata)) {
    const [, name = '', tag = ''] = isTagged.exec(key) ?? []
    const language = canonicalTag(tag)
    if (!Object.hasOwn(inOneLanguage.shape, name) || language === undefined || !value) continue
    byLanguage[language] = { ...byLanguage[language], [name]: value }
  }
  const untagged = Object.fromEntries(Object.entries(metadata).filter(([key]) => !isTagged.test(key)))
  return { ...untagged, ...(Object.keys(byLanguage).length > 0 && { localized: byLanguage }) } as unknown as Metadata
}

/** Returns metadata with the member `localized` as members such as `client_name#de`, as the standard spells them. */
export function tagged({ localized, ...metadata }: Record<string, unknown>): Record<string, unknown> {
  const members = Object.entries((localized ?? {}) as Localized).flatMap(([language, texts]) =>
    Object.entries(texts).map(([name, value]) => [`${name}#${language}`, value]),
  )
  return { ...metadata, ...Object.fromEntries(members) }
}

/** Returns the values of one member by language. */
export function byLanguage(metadata: Localized | undefined, name: LocalizedMember): Record<string, string> {
  return Object.fromEntries(
    Object.entries(metadata ?? {}).flatMap(([language, { [name]: value }]) =>
      value === undefined ? [] : [[language, value]],
    ),
  )
}
