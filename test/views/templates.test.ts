import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { assets, templates as directory } from '../../src/views/assets.ts'
import { names, onlyScript } from '../support/page-examples.ts'

const files = readdirSync(directory, { encoding: 'utf8', recursive: true }).filter((file) => file.endsWith('.njk'))
const read = (file: string) => {
  const source = readFileSync(join(directory, file), 'utf8')
  if (isOfMails(file)) return source.replace(/<style>.*<\/style>|\sstyle="[^"]*"/gs, '') // mail programs load no style sheet
  return file === 'submitting.njk' ? source.replace(onlyScript, '') : source
}
const isOfMails = (file: string) => file.startsWith('mail/')

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
    expect(files.sort()).toEqual(
      [
        ...names,
        'layout',
        'mail/letter.html',
        'mail/letter.txt',
        'parts',
        'parts/brand',
        'parts/footer',
        'parts/languages',
      ]
        .map((name) => `${name}.njk`)
        .sort(),
    )
  })

  test.each(files)(
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

  test.each(files)('contain no words, which belong to the texts of a language: %s', (file) => {
    expect(wordsIn(read(file))).toEqual([])
  })

  test('are searched for words in text, attributes and expressions', () => {
    const source = `{# A comment #}<p class="a b">Words</p><img alt="More"><b>{{ x }} and</b>{{ 'Sign in' | f }}{{ 'a-b' }}`
    expect(wordsIn(source)).toEqual(['Sign in', 'More', 'Words', 'and'])
  })

  test('have a style sheet that loads nothing from other hosts', () => {
    expect(readFileSync(join(assets, 'postern.css'), 'utf8')).not.toMatch(/@import|url\(/)
  })
})
