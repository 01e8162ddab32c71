import { expect, test } from 'vitest'
import { acceptedLanguages, lookup } from '../../src/languages/lookup.ts'

const offered = ['en', 'de', 'pt', 'zh-Hans', 'he']

test.each([
  [['de-AT'], 'de'],
  [['fr', 'de'], 'de'],
  [['ca', 'tlh'], undefined],
  [['pt-BR'], 'pt'],
  [['iw-IL'], 'he'], // the tag that Hebrew had until 1989
  [['zh'], 'zh-Hans'],
  [['zh-CN'], 'zh-Hans'],
  [['zh-TW', 'en'], 'en'],
  [['zh-TW'], 'zh-Hans'],
  [['zh-TW', 'zh', 'en'], 'zh-Hans'],
  [['not a tag', '*', 'DE'], 'de'],
  [[], undefined],
])('a person who reads %j gets %s (RFC 4647 §3.4)', (wanted, expected) => {
  expect(lookup(wanted, offered)).toBe(expected)
})

test('the variant of the own region is preferred to that of another', () => {
  expect(lookup(['pt-PT'], ['pt', 'pt-PT'])).toBe('pt-PT')
  expect(lookup(['pt-BR'], ['pt-PT', 'pt-BR'])).toBe('pt-BR')
  expect(lookup(['de-CH'], ['de-AT'])).toBe('de-AT')
})

test.each([
  ['de-AT, de;q=0.9, en;q=0.5', ['de-AT', 'de', 'en']],
  ['en;q=0.5, de', ['de', 'en']],
  ['en;q=0, *', []],
  ['', []],
  [';;,q=1,de;Q=0.1', ['q=1', 'de']],
])('Accept-Language %j names %j (RFC 9110 §12.5.4)', (header, expected) => {
  expect(acceptedLanguages(header)).toEqual(expected)
})
