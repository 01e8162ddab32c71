import en from './en.json' with { type: 'json' }

/** The texts of one language that code chooses from by a key. The other words of a page are in its template. */
export type Texts = typeof en

/** A scope, claim or outcome exists only with a text: its type is the list of keys, so a key without one does not compile. */
export type ScopeName = keyof Texts['scopes']
export type ClaimName = keyof Texts['claims']
export type ErrorCode = keyof Texts['errors']

export { en as english }

/** Returns a text with its placeholders filled in: `{count} seconds` with a count of 3 is `3 seconds`. */
export function filled(text: string, values: Record<string, string | number>): string {
  return text.replace(/\{(\w+)\}/g, (placeholder, name) => String(values[name] ?? placeholder))
}
