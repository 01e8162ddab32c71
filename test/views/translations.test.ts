import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { allLanguages, type Language } from '../../src/languages/index.ts'
import { english, texts } from '../../src/views/texts/index.ts'

const directory = join(import.meta.dirname, '../../src/views/texts')

type Leaf = string | Readonly<Record<string, string>>

/** Returns the texts by their path, with the forms of a number together. */
function leaves(group: object, path = ''): [path: string, Leaf][] {
  return Object.entries(group).flatMap(([key, text]) => {
    const at = `${path}${key}`
    return typeof text === 'string' || typeof text.other === 'string'
      ? [[at, text] as [string, Leaf]]
      : leaves(text, `${at}.`)
  })
}

const formsOf = (leaf: Leaf) => (typeof leaf === 'string' ? [leaf] : Object.values(leaf))
const placeholders = (text: string) => (text.match(/\{\w+\}|\*\*/g) ?? []).sort().join(' ')
const originals = new Map(leaves(english))

/** Returns the longest that a translation may be: words on buttons and in titles have less room than sentences. */
function longest(text: string): number {
  return /[.:!?]$/.test(text) ? 1.6 * text.length + 24 : Math.max(1.6 * text.length, text.length + 16)
}

/** Returns whether a form is for a single number, so that it can say it in words, as Arabic and Hebrew do. */
function isOneNumber(language: Language, form: string): boolean {
  const rules = new Intl.PluralRules(language)
  return Array.from({ length: 200 }, (_, number) => rules.select(number)).filter((found) => found === form).length === 1
}

test('every file of texts belongs to a language', () => {
  const files = readdirSync(directory).filter((file) => file.endsWith('.json'))
  expect(files.sort()).toEqual(allLanguages.map((language) => `${language}.json`).sort())
})

describe.each(allLanguages.filter((language) => language !== 'en'))('the texts in %s', (language: Language) => {
  const translated = leaves(JSON.parse(readFileSync(join(directory, `${language}.json`), 'utf8')))

  test('have the keys of the English ones, and a form for each plural of the language', () => {
    expect(translated.map(([path]) => path).sort()).toEqual([...originals.keys()].sort())
    const categories = new Intl.PluralRules(language).resolvedOptions().pluralCategories
    for (const [path, leaf] of translated) {
      if (typeof leaf !== 'string') expect([path, Object.keys(leaf).sort()]).toEqual([path, [...categories].sort()])
    }
  })

  test('have the placeholders of the English ones', () => {
    for (const [path, leaf] of translated) {
      const [original = ''] = formsOf(originals.get(path) ?? '')
      for (const [form, text] of Object.entries(typeof leaf === 'string' ? { other: leaf } : leaf)) {
        const written = isOneNumber(language, form) && !text.includes('{count}') ? `${text} {count}` : text
        expect([path, placeholders(written)]).toEqual([path, placeholders(original)])
      }
    }
  })

  test('are not much longer than the English ones, and none is empty', () => {
    const wrong = translated.filter(([path, leaf]) => {
      const original = formsOf(originals.get(path) ?? '').at(-1) ?? ''
      return formsOf(leaf).some((text) => text.trim() === '' || text.length > longest(original))
    })
    expect(wrong).toEqual([])
  })
})

// WCAG 2.5.3: who controls a page by voice says the words that are on the button.
test.each(allLanguages)('the names of buttons contain the words that are on them, in %s', (language) => {
  const { account, consent } = texts[language]
  const named = [
    [account.apps.remove, account.apps.removeOf],
    [account.security.sessions.end, account.security.sessions.endOf],
    [account.security.passkeys.edit, account.security.passkeys.editOf],
    [account.security.linked.link, account.security.linked.linkOf],
    [account.security.linked.unlink, account.security.linked.unlinkOf],
    [consent.notYou, consent.switch],
  ] as const
  for (const [shown, name] of named) expect(name.toLowerCase()).toContain(shown.toLowerCase())
})
