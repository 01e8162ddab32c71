import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { createBackoff } from '../../src/egress/backoff.ts'

beforeEach(() => vi.useFakeTimers({ toFake: ['performance'] }))
afterEach(() => vi.useRealTimers())

const pass = (ms: number) => vi.advanceTimersByTime(ms)

describe('what failed is left alone', () => {
  test('for a second, then twice as long each time, up to five minutes', () => {
    const backoff = createBackoff()
    expect(backoff.isHeld('host')).toBe(false)
    for (const seconds of [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]) {
      backoff.failed('host')
      pass(seconds * 1_000 - 1)
      expect([seconds, backoff.isHeld('host')]).toEqual([seconds, true])
      pass(1)
      expect([seconds, backoff.isHeld('host')]).toEqual([seconds, false])
    }
  })

  test('without affecting anything else', () => {
    const backoff = createBackoff()
    backoff.failed('host')
    expect(backoff.isHeld('other')).toBe(false)
  })

  test('until it succeeds, after which the next failure counts as the first', () => {
    const backoff = createBackoff()
    backoff.failed('host')
    pass(1_000)
    backoff.failed('host')
    backoff.succeeded('host')
    expect(backoff.isHeld('host')).toBe(false)
    backoff.failed('host')
    pass(1_000)
    expect(backoff.isHeld('host')).toBe(false)
  })

  test('once, however many attempts were under way', () => {
    const backoff = createBackoff()
    for (let attempt = 0; attempt < 20; attempt++) backoff.failed('host')
    pass(1_000)
    expect(backoff.isHeld('host')).toBe(false)
  })

  test('as if for the first time, when the last failure was long ago', () => {
    const backoff = createBackoff()
    backoff.failed('host')
    pass(1_000 + 300_000)
    backoff.failed('host')
    pass(1_000)
    expect(backoff.isHeld('host')).toBe(false)
  })

  test('unless a thousand others failed since, so that nobody can fill the memory', () => {
    const backoff = createBackoff()
    backoff.failed('first')
    backoff.failed('second')
    for (let other = 0; other < 999; other++) backoff.failed(`other ${other}`)
    expect([backoff.isHeld('first'), backoff.isHeld('second')]).toEqual([false, true])
  })
})
