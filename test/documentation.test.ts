import { existsSync, globSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import type { z } from 'zod'
import { operations } from '../src/admin/operations/index.ts'
import { environment, parse, settingGroups } from '../src/config/index.ts'
import { routes } from '../src/oidc/endpoints.ts'
import { scopes } from '../src/oidc/scopes.ts'
import { eventTypes } from '../src/stores/operations/audit-events.ts'

const repository = fileURLToPath(new URL('..', import.meta.url))
const read = (path: string) => readFileSync(join(repository, path), 'utf8')
const documents = ['*.md', 'docs/**/*.md', 'examples/**/*.md'].flatMap((pattern) =>
  globSync(pattern, { cwd: repository }),
)

type Field = z.ZodType & { def: { in?: Field; innerType?: Field; entries?: object } }

function choicesOf({ def }: Field): string[] {
  const inner = def.innerType ?? def.in
  return def.entries ? Object.keys(def.entries) : inner ? choicesOf(inner) : []
}

/** Returns each group of settings as a table below its heading, as docs/configuration.md must show them. */
function tables(): string {
  const defaults = parse({}) as Record<string, unknown>
  const sections = Object.entries(settingGroups).map(([title, settings]) => {
    const rows = Object.entries(settings).map(([name, field]) => {
      const value = String(defaults[name] ?? '')
      const choices = choicesOf(field as Field).map((choice) => `\`${choice}\``)
      const description = [field.description, choices.length > 0 && `One of ${choices.join(', ')}.`].filter(Boolean)
      return `| \`${name}\` | ${value === '' ? '–' : `\`${value}\``} | ${description.join(' ')} |`
    })
    return [`### ${title}`, '', '| Name | Default | Meaning |', '|---|---|---|', ...rows].join('\n')
  })
  return sections.join('\n\n')
}

describe('docs/configuration.md', () => {
  test('shows every setting with its default and meaning, as in src/config/ (npm run docs)', () => {
    const path = 'docs/configuration.md'
    const section = /(?<=<!-- settings -->\n)[\s\S]*(?=<!-- \/settings -->)/
    const expected = `\n${tables()}\n\n`
    if (process.env['UPDATE_DOCS'])
      writeFileSync(
        join(repository, path),
        read(path).replace(section, () => expected),
      )
    expect(section.exec(read(path))?.[0]).toBe(expected)
  })

  test('is complete, because every setting has a description', () => {
    const fields = Object.entries(environment.in.shape)
    const grouped = Object.values(settingGroups).flatMap((settings) => Object.keys(settings))
    expect(grouped).toEqual(fields.map(([name]) => name))
    expect(fields.length).toBeGreaterThan(20)
    for (const [name, { description }] of fields) expect(description, name).toMatch(/\.$/)
  })
})

describe('docs/audit-events.md', () => {
  test('shows every type of event with its meaning, as in src/stores/operations/audit-events.ts (npm run docs)', () => {
    const path = 'docs/audit-events.md'
    const section = /(?<=<!-- events -->\n)[\s\S]*(?=<!-- \/events -->)/
    const rows = Object.entries(eventTypes).map(([type, meaning]) => `| \`${type}\` | ${meaning} |`)
    const expected = `\n${['| Type | What happened |', '|---|---|', ...rows].join('\n')}\n\n`
    if (process.env['UPDATE_DOCS'])
      writeFileSync(
        join(repository, path),
        read(path).replace(section, () => expected),
      )
    expect(section.exec(read(path))?.[0]).toBe(expected)
    for (const [type, meaning] of Object.entries(eventTypes)) expect(meaning, type).toMatch(/^[A-Z].*\.$/)
  })

  test('lists no type of event that nothing records', () => {
    const sources = globSync('src/**/*.ts', { cwd: repository })
      .filter((path) => !path.endsWith('/audit-events.ts'))
      .map(read)
    for (const type of Object.keys(eventTypes)) {
      const [noun = '', verb = ''] = type.split('.')
      // Some sources put the type together: `key.${pastTenses[step]}`, `client.${verb}d`.
      const puts = new RegExp(`\`${noun}\\.\\$\\{`)
      const isRecorded = sources.some(
        (text) =>
          text.includes(`'${type}'`) || (puts.test(text) && text.includes(`'${verb.replace(/abled$/, 'able')}'`)),
      )
      expect([type, isRecorded]).toEqual([type, true])
    }
  })
})

describe('README.md', () => {
  const readme = read('README.md')

  test('has the two command lines that do the whole set-up', () => {
    expect(readme).toContain('\nnpm ci && npm start\n')
    expect(readme).toContain('\nnpm ci && npm test\n')
  })

  test('leads to the commands, the folders and the glossary', () => {
    expect(readme).toContain('](docs/command-line.md)')
    expect(readme).toContain('](docs/architecture.md)')
    expect(readme).toContain('](docs/glossary.md)')
  })

  test('stays short', () => {
    expect(readme.split('\n').length).toBeLessThan(140)
  })
})

describe('docs/command-line.md', () => {
  test('lists every command of the command line', () => {
    const rows = read('docs/command-line.md').match(/^\| `postern .*$/gm) ?? []
    for (const { noun, verb } of operations()) {
      const row = rows.find((line) => line.startsWith(`| \`postern ${noun} `))
      expect(row, noun).toMatch(new RegExp(`[\` ]${verb}\``))
    }
  })
})

describe('docs/architecture.md', () => {
  const architecture = read('docs/architecture.md')

  test('names every folder and module at the top of the source', () => {
    const [, folders = ''] = /^## Folders\n([\s\S]*?)^## /m.exec(architecture) ?? []
    for (const path of globSync('src/*', { cwd: repository })) {
      const name = path.slice('src/'.length)
      if (name !== 'runtime.ts') expect(folders).toContain(name)
    }
  })

  test('names every folder of the source two levels deep, below its parent', () => {
    const [, folders = ''] = /^## Folders\n([\s\S]*?)^## /m.exec(architecture) ?? []
    const within = globSync('src/*/*/', { cwd: repository })
    expect(within.length).toBeGreaterThan(20)
    for (const path of within) {
      const [, parent = '', name = ''] = path.split('/')
      const [, below = ''] = new RegExp(`^  \\S*(?:.*, )?${parent}/ .*\n((?:    .*\n)*)`, 'm').exec(folders) ?? []
      expect(below, parent).toMatch(new RegExp(`^    ${name}/`, 'm'))
    }
  })

  test('names only files that exist', () => {
    const named = [...architecture.matchAll(/`((?:[\w-]+\/)*[\w.-]+\.ts)`/g)].map(([, path = '']) => path)
    expect(named.length).toBeGreaterThan(20)
    for (const path of named) {
      const places = [path, join('src', path)].map((place) => join(repository, place))
      expect(places.some(existsSync), path).toBe(true)
    }
  })
})

describe('docs/specifications.md', () => {
  const specifications = read('docs/specifications.md')

  test('names every endpoint and every scope', () => {
    for (const path of Object.values(routes)) expect(specifications).toContain(`\`${path}\``)
    for (const scope of Object.keys(scopes)) expect(specifications).toContain(`\`${scope}\``)
  })
})

describe('SECURITY.md', () => {
  const security = read('SECURITY.md')
  const tests = globSync('test/**/*.test.ts', { cwd: repository }).map((path) =>
    path.slice('test/'.length, -'.test.ts'.length),
  )
  /** Every code span that has the form of a test's name: a path in lower case, without an extension. */
  const named = [...security.matchAll(/`([a-z0-9]+(?:[/-][a-z0-9]+)*)`/g)]
    .map(([, name = '']) => name)
    .filter((name) => name !== 'oidc-provider')

  test('names only tests that exist', () => {
    expect(named.length).toBeGreaterThan(20)
    for (const name of named) expect(tests).toContain(name)
  })

  test('names only files that exist', () => {
    for (const [, path = ''] of security.matchAll(/`([\w/.-]+\.ts)`/g))
      expect(existsSync(join(repository, path)), path).toBe(true)
  })

  test('names for every attacker the tests that prove its promise', () => {
    const [, promises = ''] = /### Who attacks, and what stops them\n\n([\s\S]*?)\n\n### /.exec(security) ?? []
    const attackers = promises.split('\n\n').filter((paragraph) => paragraph.startsWith('**'))
    expect(attackers.length).toBeGreaterThan(10)
    for (const attacker of attackers) {
      const holds = named.some((name) => attacker.includes(`\`${name}\``))
      expect(holds, attacker.split('\n')[0]).toBe(true)
    }
  })
})

describe('every document', () => {
  test('mentions only scripts that exist', () => {
    const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> }
    for (const document of documents) {
      for (const [, name = ''] of read(document).matchAll(/npm run (?:-\S+ )*([\w-]+(?::[\w-]+)*)/g))
        expect(scripts).toHaveProperty(name)
    }
  })

  test('names only source files and folders that exist', () => {
    const roots = 'src|test|docs|examples|bench|deploy|migrations|templates'
    const path = new RegExp(`^(?:(?:${roots})/[\\w./-]*|(?:[\\w-]+/)+[\\w.-]+\\.ts)$`)
    const missing = documents.flatMap((document) => {
      const named = [...read(document).matchAll(/`([^`\n]+)`/g)]
        .map(([, code = '']) => code)
        .filter((code) => path.test(code))
      const exists = (name: string) => ['', 'src', 'test'].some((place) => existsSync(join(repository, place, name)))
      return named.filter((name) => !exists(name)).map((name) => `${document}: ${name}`)
    })
    expect(missing).toEqual([])
  })

  test('links to files and headings that exist', () => {
    expect(documents.length).toBeGreaterThan(10)
    const anchorOf = (heading: string) =>
      heading
        .toLowerCase()
        .replace(/[^\w\s-]/g, '')
        .replace(/\s/g, '-')
    for (const document of documents) {
      for (const [, link = ''] of read(document).matchAll(/\]\(([^)\s]+)\)/g)) {
        if (/^https?:/.test(link)) continue
        const [path, anchor] = link.split('#')
        const target = path ? join(dirname(document), path) : document
        expect(existsSync(join(repository, target)), `${document}: ${link}`).toBe(true)
        const headings = anchor ? [...read(target).matchAll(/^#+ (.+)$/gm)].map(([, text = '']) => anchorOf(text)) : []
        if (anchor) expect(headings, `${document}: ${link}`).toContain(anchor)
      }
    }
  })
})
