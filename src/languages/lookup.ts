const mostRanges = 20 // a browser sends up to ten, and each costs time to parse

/**
 * Returns the offered language that fits best, or `undefined` if none does (RFC 4647 §3.4): the first wanted one that is
 * offered, with its end removed as far as necessary. So `de-AT` gets `de`.
 *
 * A tag without a script has the usual one of its region, so `zh-TW` does not get `zh-Hans` while something else that
 * was asked for is offered. If nothing else is, another script of the same language is still better than a language that
 * the person may not know.
 */
export function lookup<Tag extends string>(wanted: readonly string[], offered: readonly Tag[]): Tag | undefined {
  const ranges = wanted.slice(0, mostRanges).flatMap((tag) => localeOf(tag) ?? [])
  if (ranges.length === 0) return undefined
  const tags = localesOf(offered)
  for (const range of ranges) {
    const { language, script, region } = range.maximize()
    const exact = prefixesOf(range.baseName).map((prefix) => tags.find(({ locale }) => locale.baseName === prefix))
    const fitting = tags.filter(({ full }) => full.language === language && full.script === script)
    const found =
      exact.find((tag) => tag !== undefined && fitting.includes(tag)) ??
      fitting.find(({ full }) => full.region === region) ??
      fitting[0]
    if (found) return offered[found.at]
  }
  const other = ranges.map(({ language }) => tags.find(({ locale }) => locale.language === language)).find(Boolean)
  return other && offered[other.at]
}

type Offered = { at: number; locale: Intl.Locale; full: Intl.Locale }

const parsed = new WeakMap<readonly string[], Offered[]>()

/** Returns the locales of a list of tags. Each request looks at the same list, and parsing took most of the time. */
function localesOf(offered: readonly string[]): Offered[] {
  const before = parsed.get(offered)
  if (before) return before
  const locales = offered.flatMap((tag, at) => {
    const locale = localeOf(tag)
    return locale ? [{ at, locale, full: locale.maximize() }] : []
  })
  parsed.set(offered, locales)
  return locales
}

/** Returns the languages of an `Accept-Language` header, the preferred one first (RFC 9110 §12.5.4). */
export function acceptedLanguages(header: string): string[] {
  return header
    .split(',', mostRanges)
    .map((range) => {
      const [tag = '', ...parameters] = range.split(';').map((part) => part.trim())
      const weight = parameters.find((parameter) => /^q=/i.test(parameter))?.slice(2)
      return { tag, weight: weight === undefined ? 1 : Number(weight) }
    })
    .filter(({ tag, weight }) => tag !== '' && tag !== '*' && weight > 0)
    .sort((one, other) => other.weight - one.weight)
    .map(({ tag }) => tag)
}

/** Returns the canonical spelling of a language tag (RFC 5646 §4.5), or `undefined` if it is none. */
export function canonicalTag(tag: string): string | undefined {
  return localeOf(tag)?.toString()
}

function localeOf(tag: string): Intl.Locale | undefined {
  try {
    return new Intl.Locale(tag.replaceAll('_', '-')) // OpenID Connect Core §5.1: some write en_US
  } catch {
    return undefined
  }
}

/** Returns a tag and its beginnings, the longest first: `de-Latn-AT`, `de-Latn`, `de`. */
function prefixesOf(tag: string): string[] {
  const parts = tag.split('-')
  return parts.map((_part, index) => parts.slice(0, parts.length - index).join('-'))
}
