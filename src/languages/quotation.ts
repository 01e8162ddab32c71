import type { Language } from './index.ts'

const english = ['“', '”'] as const

/** The quotation marks of every language. */
const marks: Record<Language, readonly [opening: string, closing: string]> = {
  en: english,
  de: ['„', '“'],
  fr: ['«\u202f', '\u202f»'],
  es: ['«', '»'],
  it: ['«', '»'],
  pt: english,
  nl: english,
  pl: ['„', '”'],
  tr: english,
  uk: ['«', '»'],
  ja: ['「', '」'],
  'zh-Hans': english,
  ar: ['«', '»'],
  he: ['”', '”'],
}

/** Any quotation mark, whichever language it belongs to. */
const anyMark = /["\u00ab\u00bb\u201c-\u201f\u2039\u203a\u275d\u275e\u300c-\u300f\u301d-\u301f\uff02]/g

/**
 * Quotes somebody else's words as a language does. Quotation marks in them become apostrophes, so that none ends the
 * quotation.
 */
export function quoted(words: string, language: Language): string {
  const [opening, closing] = marks[language]
  return opening + words.replace(anyMark, '\u2019') + closing
}
