import en from './en.json' with { type: 'json' }

/** The words of every page in one language: grouped by page, with an outcome's code as the key of what a page says. */
export type Texts = typeof en

// These types are the keys of the texts, so a scope, a claim or an error without a text does not compile.
export type ScopeName = keyof Texts['scopes']
export type ClaimName = keyof Texts['claims']
export type ErrorCode = keyof Texts['error']['codes']

export { en as english }

/** The forms of a text with a number in it, by the plural rules of its language. */
export type Forms = Partial<Record<Intl.LDMLPluralRule, string>> & { other: string }

/** Returns a text with its placeholders filled in: `{count} seconds` with a count of 3 is `3 seconds`. */
export function filled(text: string, values: Record<string, string | number>): string {
  return text.replace(/\{(\w+)\}/g, (placeholder, name) => String(values[name] ?? placeholder))
}

/** Returns the texts with the name of this service in place of `{service}`, so no template has to fill it in. */
export function named<Value>(texts: Value, service: string): Value {
  if (typeof texts === 'string') return filled(texts, { service }) as Value
  return Object.fromEntries(Object.entries(texts as object).map(([key, text]) => [key, named(text, service)])) as Value
}
