import en from './en.json' with { type: 'json' }

/** The texts of one language that are looked up by a key. The other words of a page are in its template. */
export type Texts = typeof en

// These types are the keys of the texts, so a scope, a claim or an error without a text does not compile.
export type ScopeName = keyof Texts['scopes']
export type ClaimName = keyof Texts['claims']
export type ErrorCode = keyof Texts['errors']

export { en as english }

/** Returns a text with its placeholders filled in: `{count} seconds` with a count of 3 is `3 seconds`. */
export function filled(text: string, values: Record<string, string | number>): string {
  return text.replace(/\{(\w+)\}/g, (placeholder, name) => String(values[name] ?? placeholder))
}
