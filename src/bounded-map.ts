/** A map with room for a number of entries. */
export type BoundedMap<Key, Value> = {
  get(key: Key): Value | undefined
  /** Makes the entry the newest. When the map is full, it first forgets the oldest entry. */
  set(key: Key, value: Value): void
  delete(key: Key): void
}

/**
 * Creates a map for values that cost little to find again. The age of an entry counts from its last `set`; reads do not
 * renew it.
 */
export function createBoundedMap<Key, Value>(most: number): BoundedMap<Key, Value> {
  const entries = new Map<Key, Value>()

  return {
    get: (key) => entries.get(key),
    set(key, value) {
      entries.delete(key)
      const oldest = entries.keys().next()
      if (entries.size >= most && !oldest.done) entries.delete(oldest.value)
      entries.set(key, value)
    },
    delete: (key) => {
      entries.delete(key)
    },
  }
}
