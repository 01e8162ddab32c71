import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'

// Keeps the English plain. Each pattern is a construction that makes a reader go back to the start of the sentence: a
// subject that arrives late, an archaic word, or a passive that hides who acts. Some of their uses are right, so a group of
// files may have a few in a thousand words. Lower a limit when its group has got better; raise none.

const repository = join(import.meta.dirname, '..')

const constructions: Record<string, RegExp> = {
  'a sentence that opens with a relative clause':
    /(?:^|[.:;]\s+|\*\*\s*)(?:What|Who|Whoever|Whose|Of (?:what|which|those|it|them|a|an|the|several|any)|By (?:what|which)|With what|In what)\b(?![^.?]*\?)/gm,
  'whoever, whom': /\b(?:whoever|for who |to who |of who |whom)\b/gm,
  'a preposition before which': /\b(?:of|by|in|to|with|for|from|under|on|at|after|below) (?:which|whom|whose)\b/gm,
  'else for otherwise': /(?:\bor else\b|\bElse\b|\belse (?:it|the|who|a|an|be|they|one|has|is|would)\b|would else)/gm,
  'an archaic word':
    /\b(?:anew|meanwhile|any more|by then|for good|be had|come to be|comes to be|came to be|at it\b|is at it)\b/gm,
  'is no': /\b(?:is|are|was|were|be) (?:no|none)\b(?! longer)/gm,
  'is said, is told, is asked': /\b(?:is|are|was|be|been) (?:said|told|asked|heard|let|had|meant|shown)\b/gm,
}

/** The text of all comments, one sentence after the other. */
function commentsOf(source: string): string {
  const parts: string[] = []
  let isInside = false
  let isCode = false
  const endSentence = () => {
    const last = parts.at(-1)
    if (last && !/[.!?:]$/.test(last)) parts[parts.length - 1] = `${last}.`
  }
  for (const line of source.split('\n').map((text) => text.trim())) {
    if (isInside) {
      const body = line.replace('*/', '').replace(/^\*+ ?/, '')
      if (body.startsWith('```')) isCode = !isCode
      else if (!isCode && !body.startsWith('@')) parts.push(body)
      if (line.includes('*/')) [isInside, isCode] = [false, false]
    } else if (line.startsWith('/*')) {
      parts.push(line.slice(2).replace(/^\*+/, '').replace('*/', '').trim())
      isInside = !line.includes('*/')
      if (!isInside) endSentence()
    } else if (line.startsWith('//')) {
      if (!line.includes('biome-ignore')) parts.push(line.slice(2).trim())
    } else {
      const trailing = /[^:'"`/]\s\/\/ (.+)$/.exec(line)?.[1]
      if (trailing) parts.push(`${trailing}.`)
      else endSentence()
    }
  }
  return parts.join(' ')
}

const proseOf = (markdown: string) =>
  markdown
    .replace(/```.*?```/gs, '')
    .replace(/`[^`]*`/g, 'X')
    .replace(/\]\([^)]*\)/g, ']')
const titlesOf = (source: string) =>
  [...source.matchAll(/(?:test|describe)(?:\.each[^(]*\([^)]*\))?\('([^']+)'/g)].map(([, title]) => title).join('. ')
const wordsOf = (template: string) => template.replace(/\{[%#{].*?[%#}]\}|<[^>]+>/gs, ' ')

type Group = { files: string[]; read: (text: string) => string; most: number }

/** Each group of files with how many such constructions a thousand of its words may have. */
const groups: Record<string, Group> = {
  'comments in the source': { files: ['src/**/*.ts'], read: commentsOf, most: 1.4 },
  'comments elsewhere': {
    files: ['test/**/*.ts', 'bench/*.ts', 'examples/**/*.ts', 'migrations/*.ts'],
    read: commentsOf,
    most: 1.3,
  },
  documentation: {
    files: ['*.md', 'docs/**/*.md', 'examples/*.md', 'bench/*.md', 'test/*.md'],
    read: proseOf,
    most: 0.6,
  },
  'titles of tests': { files: ['test/**/*.ts'], read: titlesOf, most: 1.2 },
  'texts of pages': { files: ['templates/**/*.njk', 'src/views/texts/*.json'], read: wordsOf, most: 0.5 },
}

function found(text: string): string[] {
  return Object.entries(constructions).flatMap(([name, pattern]) =>
    [...text.matchAll(pattern)].map(({ 0: hit, index }) => {
      const around = text.slice(Math.max(0, index - 40), index + hit.length + 40).replace(/\s+/g, ' ')
      return `${name}: …${around}…`
    }),
  )
}

describe('plain English', () => {
  test.each(Object.entries(groups))('holds for %s', (_name, { files, read, most }) => {
    const texts = files
      .flatMap((pattern) => globSync(pattern, { cwd: repository, exclude: ['**/node_modules/**'] }))
      .sort()
      .map((path) => ({ path, text: read(readFileSync(join(repository, path), 'utf8')) }))
    const words = texts.reduce((sum, { text }) => sum + (text.match(/[A-Za-z']+/g)?.length ?? 0), 0)
    const hits = texts.flatMap(({ path, text }) => found(text).map((hit) => `${path}: ${hit}`))
    expect(words).toBeGreaterThan(500)
    expect((hits.length / words) * 1_000, hits.join('\n')).toBeLessThanOrEqual(most)
  })

  test('is recognised by its absence', () => {
    expect(found('What is left of it is told to whoever asks. Or else it is no use any more.').length).toBeGreaterThan(
      5,
    )
    expect(found('Returns the rest, and rejects a request for more.')).toEqual([])
    expect(commentsOf('/** Says why. */\nconst a = 1 // a number\n// and more\n')).toBe('Says why. a number. and more.')
  })
})
