import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { type BareEngine, runBareEngine } from '../support/bare-engine.ts'
import { members } from '../support/engine-members.ts'
import { events, isEmitted, isWritten, words } from '../support/engine-texts.ts'

const repository = join(import.meta.dirname, '..', '..')
const read = (path: string) => readFileSync(join(repository, path), 'utf8')

/** The places on the page: each with the files of ours that it links to, and the members of the engine that it names. */
const places = read('docs/engine.md')
  .split(/^## (?=\d+\. )/m)
  .slice(1)
  .map((text) => ({
    title: text.split('\n', 1)[0] ?? '',
    files: [...text.matchAll(/\]\(\.\.\/(src\/[\w/.-]+\.ts)\)/g)].map(([, path = '']) => path),
    members: [...(/\*\*Depends on:\*\*([\s\S]*?)(?:\n\n|$)/.exec(text)?.[1] ?? '').matchAll(/`([^`]+)`/g)].map(
      ([, name = '']) => name,
    ),
  }))

describe('the engine has what Postern depends on, as Postern takes it:', () => {
  let engine: BareEngine
  beforeAll(async () => {
    engine = await runBareEngine()
  })

  test.each(Object.entries(members))('%s', async (_name, holds) => {
    expect(await holds(engine)).toBe(true)
  })

  test.each(events)('it emits the event %s', (event) => {
    expect(isEmitted(event)).toBe(true)
  })

  test.each(words)('it says "%s" of an error', (text) => {
    expect(isWritten(text)).toBe(true)
  })
})

describe('docs/engine.md', () => {
  test('names the members, events and words that are tested here, and no others', () => {
    const named = places.flatMap((place) => place.members)
    expect([...new Set(named)].sort()).toEqual([...Object.keys(members), ...events, ...words].sort())
    expect(named).toHaveLength(new Set(named).size)
  })

  test('says of each place in which files of ours it is, and these name the members', () => {
    expect(places.length).toBeGreaterThanOrEqual(13)
    for (const { title, files, members: named } of places) {
      const text = files.map(read).join('\n')
      expect(files.length, title).toBeGreaterThan(0)
      expect(named.length, title).toBeGreaterThan(0)
      for (const name of named) {
        const [word = ''] = /[\w-]+(?= of the|$|"|>|=|…)/.exec(name.replace(/\.IN_PAYLOAD$/, '')) ?? []
        expect(text.includes(name) || text.includes(word), `${title}: ${name}`).toBe(true)
      }
    }
  })

  test('leaves out no file that replaces, extends or rebuilds something of the engine', () => {
    const reaching =
      /\bextends (?:Engine|Provider)\b|\{ prototype|\.prototype\b|Provider\.ctx|\.find = |\.findByUserCode = |\.unique = |provider\.on\(|new interactionPolicy|Reflect\.construct|getPrototypeOf/
    const linked = places.flatMap(({ files }) => files)
    const found = ['src/oidc/**/*.ts', 'src/http/**/*.ts', 'src/*.ts']
      .flatMap((pattern) => globSync(pattern, { cwd: repository }))
      .filter((path) => reaching.test(read(path)))
    expect(found.length).toBeGreaterThan(10)
    expect(found.filter((path) => !linked.includes(path))).toEqual([])
  })
})
