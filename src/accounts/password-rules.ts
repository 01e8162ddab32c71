import { preparedPassword } from '../crypto/passwords.ts'
import { loadCommonPasswords } from './common-passwords.ts'

/** Why a person cannot have a password. */
export type PasswordFlaw = 'too-short' | 'too-long' | 'common' | 'about-you' | 'about-service'

/** The most characters of a new password. Older ones may be longer and still work. */
export const longestNewPassword = 200

/**
 * Returns why a person cannot have this password, or `undefined` if they can (NIST SP 800-63B-4 §3.1.1.2). A character
 * is a code point of the form that is hashed. Nothing has to be in a password, and none has to be replaced after a time.
 */
export async function checkPassword(
  password: string,
  { email, name }: { email: string; name?: string | undefined },
  { serviceName, minLength }: { serviceName: string; minLength: number },
): Promise<PasswordFlaw | undefined> {
  const characters = [...preparedPassword(password)]
  if (characters.length < minLength) return 'too-short'
  if (characters.length > longestNewPassword) return 'too-long'
  if (isMonotonous(characters) || (await loadCommonPasswords()).has(password)) return 'common'
  if (isMadeOf(password, wordsOf(email, email.slice(0, email.lastIndexOf('@')), name ?? ''))) return 'about-you'
  if (isMadeOf(password, wordsOf(serviceName))) return 'about-service'
  return undefined
}

/** Returns whether a password has at most two different characters, or is a series such as 3456789 or hgfedcba. */
function isMonotonous(characters: readonly string[]): boolean {
  const codes = characters.map((character) => character.codePointAt(0) ?? 0)
  const steps = new Set(codes.slice(1).map((code, index) => code - (codes[index] ?? 0)))
  const [step = 0] = steps
  return new Set(characters).size <= 2 || (steps.size === 1 && Math.abs(step) === 1)
}

const shortestWord = 3 // "li" is in too many words
const mostLetters = 3 // that may follow the words and still add nothing: "xyz", "abc"
const mostDigits = 11 // as in a date or telephone number, and a few signs

/** Returns whether a password is made of these words, with little else, such as a year or an exclamation mark. */
function isMadeOf(password: string, words: readonly string[]): boolean {
  const folded = plain(password)
  const rest = words.reduce((text, word) => text.replaceAll(word, ''), folded)
  if (rest === folded) return false
  const letters = rest.match(/\p{L}/gu)?.length ?? 0
  return letters <= mostLetters && [...rest].length - letters <= mostDigits
}

/** Returns the words of texts, and each text without the gaps between its words. The longest is first. */
function wordsOf(...texts: string[]): string[] {
  const words = texts.map(plain).flatMap((text) => {
    const parts = text.split(/[^\p{L}\p{N}]+/u)
    return [text, parts.join(''), ...parts]
  })
  return [...new Set(words)]
    .filter((word) => [...word].length >= shortestWord && /\p{L}/u.test(word))
    .sort((a, b) => b.length - a.length)
}

/** Returns a text without capitals and accents: nobody guesses "Zoë" less easily than "zoe". */
function plain(text: string): string {
  return text.normalize('NFKD').replace(/\p{M}/gu, '').toLowerCase()
}
