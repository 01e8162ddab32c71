/** A map with room for a number of entries. */
export type BoundedMap<Key, Value> = {
  get(key: Key): Value | undefined
  /** Makes the entry the newest. Where there is no room, the oldest one is forgotten first. */
  set(key: Key, value: Value): void
  delete(key: Key): void
}

/** Creates a map for what costs little to find out again. An entry ages from when it was last set, whoever read it since. */
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
