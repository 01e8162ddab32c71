import { describe, expect, test } from 'vitest'
import { createBoundedMap } from '../src/bounded-map.ts'

describe('a bounded map', () => {
  test('forgets the oldest entry when it is full', () => {
    const map = createBoundedMap<string, number>(2)
    map.set('a', 1)
    map.set('b', 2)
    map.set('c', 3)
    expect(['a', 'b', 'c'].map(map.get)).toEqual([undefined, 2, 3])
  })

  test('makes an entry the newest when it is set again, and then forgets no other entry', () => {
    const map = createBoundedMap<string, number>(2)
    map.set('a', 1)
    map.set('b', 2)
    map.set('a', 3)
    expect(['a', 'b'].map(map.get)).toEqual([3, 2])
    map.set('c', 4)
    expect(['a', 'b', 'c'].map(map.get)).toEqual([3, undefined, 4])
  })

  test('does not keep an entry longer because it is read', () => {
    const map = createBoundedMap<string, number>(2)
    map.set('a', 1)
    map.set('b', 2)
    map.get('a')
    map.set('c', 3)
    expect(map.get('a')).toBeUndefined()
  })

  test('has room again after an entry is deleted', () => {
    const map = createBoundedMap<string, number>(2)
    map.set('a', 1)
    map.set('b', 2)
    map.delete('b')
    map.set('c', 3)
    expect(['a', 'b', 'c'].map(map.get)).toEqual([1, undefined, 3])
  })
})
