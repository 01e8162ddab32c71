import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { moment } from '../../src/admin/times.ts'

beforeAll(() => {
  vi.useFakeTimers({ now: new Date('2026-11-27T10:20:30.400Z'), toFake: ['Date'] })
})
afterAll(() => vi.useRealTimers())

describe('a moment', () => {
  test.each([
    ['now', '2026-11-27T10:20:30.400Z'],
    ['today', '2026-11-27T00:00:00.000Z'],
    ['yesterday', '2026-11-26T00:00:00.000Z'],
    ['Yesterday', '2026-11-26T00:00:00.000Z'],
    ['2 hours ago', '2026-11-27T08:20:30.400Z'],
    ['an hour ago', '2026-11-27T09:20:30.400Z'],
    ['2h', '2026-11-27T08:20:30.400Z'],
    ['30 min ago', '2026-11-27T09:50:30.400Z'],
    ['90 seconds', '2026-11-27T10:19:00.400Z'],
    ['7d ago', '2026-11-20T10:20:30.400Z'],
    ['2 weeks ago', '2026-11-13T10:20:30.400Z'],
    ['2026-11-01', '2026-11-01T00:00:00.000Z'],
    ['2026-11-01 08:30', '2026-11-01T08:30:00.000Z'],
    ['2026-11-01T08:30:15Z', '2026-11-01T08:30:15.000Z'],
    ['2026-11-01T08:30:15.250+02:00', '2026-11-01T06:30:15.250Z'],
  ])('can be written as %s', (text, expected) => {
    expect(moment.parse(text)).toEqual({ at: new Date(expected), text })
  })

  test.each([
    '',
    'tomorrow',
    'soon',
    '2 fortnights ago',
    '-2h',
    '2026-02-31',
    '2026-13-01',
    '1',
    '01.11.2026',
    '2026-11-01T25:00Z',
  ])('cannot be written as "%s", and the refusal gives examples', (text) => {
    expect(moment.safeParse(text).error?.issues[0]?.message).toBe(
      'must be a moment such as yesterday, 2 hours ago, 2027-01-31 or 2027-01-31T08:00:00Z',
    )
  })
})
