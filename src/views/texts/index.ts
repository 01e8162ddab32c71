import type { Language } from '../../languages/index.ts'
import ar from './ar.json' with { type: 'json' }
import de from './de.json' with { type: 'json' }
import en from './en.json' with { type: 'json' }
import es from './es.json' with { type: 'json' }
import fr from './fr.json' with { type: 'json' }
import he from './he.json' with { type: 'json' }
import it from './it.json' with { type: 'json' }
import ja from './ja.json' with { type: 'json' }
import nl from './nl.json' with { type: 'json' }
import pl from './pl.json' with { type: 'json' }
import pt from './pt.json' with { type: 'json' }
import tr from './tr.json' with { type: 'json' }
import uk from './uk.json' with { type: 'json' }
import zhHans from './zh-Hans.json' with { type: 'json' }

/** A text that depends on a number: a form for each plural category that the language has. */
export type Plural = { other: string } & { [Category in Intl.LDMLPluralRule]?: string }

type Translated<Text> = Text extends string
  ? string
  : Text extends { other: string }
    ? Plural
    : { [Key in keyof Text]: Translated<Text[Key]> }

/**
 * The words of every page in one language, with the keys of the English ones: grouped by page, with the code of an outcome
 * as the key of what a page says about it.
 */
export type Texts = Translated<typeof en>

// These types are the keys of the texts, so a scope, a claim or an error without a text does not compile.
export type ScopeName = keyof Texts['scopes']
export type ClaimName = keyof Texts['claims']
export type ErrorCode = keyof Texts['error']['codes']

type Incomplete<Text> = Text extends string ? string : { [Key in keyof Text]?: Incomplete<Text[Key]> }

/**
 * Returns the texts of a language, with the English ones in place of those that are not translated yet. A test says which
 * are missing.
 */
function completed<Text>(original: Text, translation: Incomplete<Text> | undefined): Text {
  if (typeof original !== 'object' || original === null) return (translation ?? original) as Text
  const given = (translation ?? {}) as Record<string, undefined>
  const entries = Object.entries(original).map(([key, text]) => [key, completed(text, given[key])])
  return { ...given, ...Object.fromEntries(entries) } as Text
}

/** The texts of every language. */
export const texts: Record<Language, Texts> = {
  en,
  de: completed<Texts>(en, de),
  fr: completed<Texts>(en, fr),
  es: completed<Texts>(en, es),
  it: completed<Texts>(en, it),
  pt: completed<Texts>(en, pt),
  nl: completed<Texts>(en, nl),
  pl: completed<Texts>(en, pl),
  tr: completed<Texts>(en, tr),
  uk: completed<Texts>(en, uk),
  ja: completed<Texts>(en, ja),
  'zh-Hans': completed<Texts>(en, zhHans),
  ar: completed<Texts>(en, ar),
  he: completed<Texts>(en, he),
}

export { en as english }

/** Returns a text with its placeholders filled in: `{count} seconds` with a count of 3 is `3 seconds`. */
export function filled(text: string, values: Record<string, string | number>): string {
  return text.replace(/\{(\w+)\}/g, (placeholder, name) => String(values[name] ?? placeholder))
}

/** Returns the texts with the name of this service in place of `{service}`, so no template has to fill it in. */
export function named<Value>(texts: Value, service: string): Value {
  if (typeof texts === 'string') return filled(texts, { service }) as Value
  return Object.fromEntries(Object.entries(texts as object).map(([key, text]) => [key, named(text, service)])) as Value
}
