import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { scopes } from '../../src/oidc/scopes.ts'
import { createViews } from '../../src/views/render.ts'
import { english, named, type Texts, texts } from '../../src/views/texts/index.ts'
import { client, examples, formsOf, fullBrand, names } from '../support/page-examples.ts'

const repository = join(import.meta.dirname, '../..')
const inEnglish = { language: 'en', canChoose: true } as const
/** Returns the same views with other English texts. */
const viewsWith = (en: Texts) => createViews({ texts: { ...texts, en }, brand: () => fullBrand })

/** Returns each text with the path to it: `signIn.submit`. */
function leaves(texts: object, path: readonly string[] = []): { path: string; text: string }[] {
  return Object.entries(texts).flatMap(([key, text]) =>
    typeof text === 'string' ? [{ path: [...path, key].join('.'), text }] : leaves(text, [...path, key]),
  )
}

/** Returns the texts with the path of each behind it (how one begins decides the words in it), so that a page tells which of them it shows. */
function marked<Value>(texts: Value, path: readonly string[] = []): Value {
  if (typeof texts === 'string') return `${texts}⟦${path.join('.')}⟧` as Value
  return Object.fromEntries(
    Object.entries(texts as object).map(([key, text]) => [key, marked(text, [...path, key])]),
  ) as Value
}

const pagesWith = (views: ReturnType<typeof createViews>) =>
  names.flatMap((name) => formsOf(name).map((data) => views.render(inEnglish, name, data)))

describe('the texts', () => {
  test('all appear on some page', () => {
    const shown = pagesWith(viewsWith(marked(english))).join('\n')
    const isForm = /\.(zero|one|two|few|many|other)$/ // which form a number has is up to the language
    const unused = leaves({ ...english, mail: {} }).filter(
      ({ path }) => !shown.includes(`⟦${path.replace(isForm, '')}`),
    )
    expect(unused.map(({ path }) => path)).toEqual([])
  })

  test('are shown with every placeholder filled in, and with no mark of emphasis left', () => {
    for (const page of pagesWith(createViews())) expect(page).not.toMatch(/\{\w+\}|\*\*/)
  })

  test('have the name of the service in one place', () => {
    expect(JSON.stringify(english)).not.toContain('Postern')
    for (const page of pagesWith(createViews({ brand: () => ({ ...fullBrand, name: 'Ängström & Söhne' }) }))) {
      expect(page).toMatch(/<title>[^<]+ · Ängström &amp; Söhne<\/title>/)
      expect(page).not.toMatch(/Postern/)
    }
    expect(named({ a: { other: '{service} has {count}' } }, 'Here')).toEqual({ a: { other: 'Here has {count}' } })
  })

  test('belong to outcomes that the code produces, and to scopes and claims that exist', () => {
    const source = globSync('src/**/*.ts', { cwd: repository, exclude: ['src/views/**'] })
      .map((path) => readFileSync(join(repository, path), 'utf8'))
      .join('\n')
    const { scopes, claims, signIn, consent, deviceCode, error } = english
    const keyed = {
      scopes,
      claims,
      'signIn.errors': signIn.errors,
      'signIn.reasons': signIn.reasons,
      'consent.errors': consent.errors,
      'deviceCode.errors': deviceCode.errors,
      'error.codes': error.codes,
    }
    const unused = Object.entries(keyed).flatMap(([group, texts]) =>
      Object.keys(texts)
        .filter((key) => !new RegExp(`'${key}'|\\b${key}: `).test(source))
        .map((key) => `${group}.${key}`),
    )
    expect(unused).toEqual([])
  })

  test('exist for every claim that a scope releases, and for no other claim', () => {
    const released = Object.values(scopes).flatMap(({ claims }) => Object.keys(claims))
    expect(new Set([...Object.keys(english.claims), 'sub'])).toEqual(new Set(released))
  })

  test('have a singular and a plural', () => {
    const views = createViews()
    const throttled = { ...examples['sign-in'], error: 'too-many-attempts' } as const
    const wait = (retryAfterSeconds: number) =>
      views.render(inEnglish, 'sign-in', { ...throttled, retryAfterSeconds }).replace(/<[^>]+>/g, '')
    expect(wait(1)).toContain('Please try again in 1 second.')
    expect(wait(89)).toContain('Please try again in 89 seconds.')
    expect(wait(91)).toContain('Please try again in 2 minutes.')
  })
})

describe('a text with placeholders', () => {
  const titled = (title: string, name = 'Ledger') =>
    viewsWith({ ...english, signIn: { ...english.signIn, title } }).render(inEnglish, 'sign-in', {
      ...examples['sign-in'],
      client: { ...client, name },
    })

  test('may have them anywhere, and each value keeps its own element', () => {
    expect(titled('{app} で続けるにはサインイン')).toMatch(/<h1><bdi class="name">Ledger<\/bdi> で続けるにはサインイン/)
  })

  test('is escaped itself, as is every value in it', () => {
    const page = titled('<i>{app}</i> & more', '<b>"Led\'ger"</b> {app} **x**')
    expect(page).toContain('&lt;i&gt;')
    expect(page).toContain('&amp; more')
    expect(page).not.toMatch(/<[ib]>/)
    expect(page).toContain('{app} **x**')
  })

  test('stops the page if it has a placeholder without a value', () => {
    expect(() => titled('{application}')).toThrow('{application}')
  })
})
