import { expect, test } from 'vitest'
import { allLanguages } from '../../src/languages/index.ts'
import { quoted } from '../../src/languages/quotation.ts'

test.each([
  ['en', '“Ledger”'],
  ['de', '„Ledger“'],
  ['fr', '«\u202fLedger\u202f»'],
  ['ja', '「Ledger」'],
  ['ar', '«Ledger»'],
] as const)('the quotation marks in %s are %s', (language, expected) => {
  expect(quoted('Ledger', language)).toBe(expected)
})

test('no quotation can be ended from inside, in any language', () => {
  const hostile = `${allLanguages.map((language) => quoted('x', language)).join('')}"‟❞＂『』〝〟‹›`
  for (const language of allLanguages) {
    const [opening = '', closing = ''] = quoted('-', language).split('-')
    const inside = quoted(hostile, language).slice(opening.length, -closing.length)
    for (const mark of [opening.trim(), closing.trim()])
      expect([language, inside.includes(mark)]).toEqual([language, false])
  }
})
