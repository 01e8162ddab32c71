import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { assets, templates as directory } from '../../src/views/assets.ts'
import { names, withoutOwnScripts } from '../support/page-examples.ts'

const files = readdirSync(directory).filter((file) => file.endsWith('.njk'))
const parts = readdirSync(join(directory, 'parts')).map((file) => `parts/${file}`)
const read = (file: string) => {
  const source = readFileSync(join(directory, file), 'utf8')
  return ['layout.njk', 'submitting.njk'].includes(file) ? withoutOwnScripts(source) : source
}

/** Returns the words that a template itself says to a person: between its tags, in attributes, and in its expressions. */
function wordsIn(source: string): string[] {
  const withoutComments = source.replace(/\{#.*?#\}/gs, '')
  const sentences = [...withoutComments.matchAll(/\{[{%].*?[%}]\}/gs)].flatMap(([code]) =>
    [...code.matchAll(/'([^']*)'|"([^"]*)"/g)].map(([, single, double]) => single ?? double ?? '').filter(isSentence),
  )
  const markup = withoutComments.replace(/\{[{%].*?[%}]\}/gs, ' ')
  const attributes = [...markup.matchAll(/\s(?:aria-label|title|alt|placeholder)="([^"]*)"/g)].map(([, text]) => text)
  const texts = markup.split(/<[^>]*>/)
  return [...sentences, ...[...attributes, ...texts].map((text) => String(text).trim()).filter(isWords)]
}

const isWords = (text: string) => /\p{L}/u.test(text)
const isSentence = (text: string) => /^\p{Lu}\p{Ll}/u.test(text) || /\p{L}+[.!?]?\s\p{L}+.*[.!?]$/u.test(text)

describe('the templates', () => {
  test('exist for each page, and otherwise only for the parts that pages share', () => {
    expect(files.sort()).toEqual([...names, 'layout'].map((name) => `${name}.njk`).sort())
  })

  test.each([...files, ...parts])(
    'never switch escaping off, and need no more than the content security policy allows: %s',
    (file) => {
      const source = read(file)
      expect(source).not.toMatch(/\|\s*safe\b/)
      expect(source).not.toMatch(/autoescape/)
      expect(source).not.toMatch(/<script/i)
      expect(source).not.toMatch(/<style/i)
      expect(source).not.toMatch(/\sstyle\s*=/i)
      expect(source).not.toMatch(/\son[a-z]+\s*=/i)
      expect(source).not.toMatch(/(src|href)="(https?:)?\/\//i)
    },
  )

  test.each([...files, ...parts])('contain no words, which belong to the texts of a language: %s', (file) => {
    expect(wordsIn(read(file))).toEqual([])
  })

  test('are searched for words in text, attributes and expressions', () => {
    const source = `{# A comment #}<p class="a b">Words</p><img alt="More"><b>{{ x }} and</b>{{ 'Sign in' | f }}{{ 'a-b' }}`
    expect(wordsIn(source)).toEqual(['Sign in', 'More', 'Words', 'and'])
  })

  test('have style sheets that load nothing from other hosts, and a script of about a kilobyte without comments', () => {
    const sheets = readdirSync(assets).filter((file) => file.endsWith('.css'))
    for (const file of sheets) expect(readFileSync(join(assets, file), 'utf8'), file).not.toMatch(/@import|url\(/)
    const script = readFileSync(join(assets, 'postern.js'), 'utf8')
    expect(script.replace(/\/\/.*|\s+/g, ' ').length).toBeLessThan(2_500)
    expect(script).not.toMatch(/fetch|innerHTML|eval|https?:/)
  })
})
