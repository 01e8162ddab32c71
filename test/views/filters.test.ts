import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { createFilters } from '../../src/views/filters.ts'
import { texts } from '../../src/views/texts/index.ts'

const [english, german] = [createFilters('en', texts.en), createFilters('de', texts.de)]
const now = new Date('2026-07-04T22:30:00Z')
const past = (seconds: number) => new Date(now.getTime() - seconds * 1000)

describe('a number, a list or a time', () => {
  beforeEach(() => {
    vi.useFakeTimers({ now })
  })
  afterEach(() => {
    vi.useRealTimers()
  })

  test('is written as people write it in their language', () => {
    expect([english.number(1234.5), german.number(1234.5)]).toEqual(['1,234.5', '1.234,5'])
    expect([english.list(['a', 'b', 'c']), german.list(['a', 'b', 'c'])]).toEqual(['a, b, and c', 'a, b und c'])
    expect([english.date(now), german.date(now)]).toEqual(['July 4, 2026', '4. Juli 2026'])
    expect([english.ago(past(172_800)), german.ago(past(172_800))]).toEqual(['2 days ago', 'vorgestern'])
    expect([english.ago(past(5_000)), english.ago(past(0))]).toEqual(['1 hour ago', 'now'])
  })

  test('is in the time zone of the person, or in UTC if they have none', () => {
    expect(german.date(now, 'Europe/Berlin')).toBe('5. Juli 2026')
    expect(german.dateTime(now, 'Europe/Berlin')).toBe('5. Juli 2026 um 00:30 MESZ')
    for (const zone of [undefined, 'Mars/Phobos']) expect(german.dateTime(now, zone)).toBe('4. Juli 2026 um 22:30 UTC')
  })
})

test.each([
  ['de', 'Deutsch'],
  ['fr', 'Français'],
  ['zh-Hans', '简体中文'],
])('the language %s names itself %s', (tag, name) => {
  expect(english.languageName(tag)).toBe(name)
})
