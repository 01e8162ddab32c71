/**
 * The languages of the pages and mails, each with its direction. A language has its texts in `views/texts/`; adding one
 * is a line here, and the compiler names the rest.
 */
export const languages = {
  en: 'ltr',
  de: 'ltr',
  fr: 'ltr',
  es: 'ltr',
  it: 'ltr',
  pt: 'ltr',
  nl: 'ltr',
  pl: 'ltr',
  tr: 'ltr',
  uk: 'ltr',
  ja: 'ltr',
  'zh-Hans': 'ltr',
  ar: 'rtl',
  he: 'rtl',
} as const satisfies Record<string, 'ltr' | 'rtl'>

export type Language = keyof typeof languages

/** Every language, with English first. */
export const allLanguages = Object.keys(languages) as [Language, ...Language[]]

/** Returns whether there are texts in this language, spelt as in the table. */
export function isLanguage(tag: unknown): tag is Language {
  return typeof tag === 'string' && Object.hasOwn(languages, tag)
}
