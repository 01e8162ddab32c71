import { existsSync, globSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import type { z } from 'zod'
import { operations } from '../src/admin/operations.ts'
import { environment, parse } from '../src/config.ts'
import { routes } from '../src/oidc/features.ts'
import { scopes } from '../src/oidc/scopes.ts'

const repository = fileURLToPath(new URL('..', import.meta.url))
const read = (path: string) => readFileSync(join(repository, path), 'utf8')
const documents = ['*.md', 'docs/**/*.md', 'examples/**/*.md'].flatMap((pattern) =>
  globSync(pattern, { cwd: repository }),
)

type Field = z.ZodType & { shape?: Record<string, Field>; def: { in?: Field; innerType?: Field; entries?: object } }

/** The object below the rules about several settings. */
function settings(schema: Field): Record<string, Field> {
  if (schema.shape) return schema.shape
  if (!schema.def.in) throw new Error('the schema of the environment has another form')
  return settings(schema.def.in)
}

function choicesOf({ def }: Field): string[] {
  const inner = def.innerType ?? def.in
  return def.entries ? Object.keys(def.entries) : inner ? choicesOf(inner) : []
}

/** The table of settings as docs/configuration.md has to show it. */
function table(): string {
  const defaults = parse({}) as Record<string, unknown>
  const rows = Object.entries(settings(environment as unknown as Field)).map(([name, field]) => {
    const value = String(defaults[name] ?? '')
    const choices = choicesOf(field).map((choice) => `\`${choice}\``)
    const description = [field.description, choices.length > 0 && `One of ${choices.join(', ')}.`].filter(Boolean)
    return `| \`${name}\` | ${value === '' ? '–' : `\`${value}\``} | ${description.join(' ')} |`
  })
  return ['| Name | Default | Meaning |', '|---|---|---|', ...rows].join('\n')
}

describe('docs/configuration.md', () => {
  test('shows every setting with its default and meaning, as src/config.ts has them (npm run docs)', () => {
    const path = 'docs/configuration.md'
    const section = /(?<=<!-- settings -->\n)[\s\S]*(?=<!-- \/settings -->)/
    const expected = `\n${table()}\n\n`
    if (process.env['UPDATE_DOCS'])
      writeFileSync(
        join(repository, path),
        read(path).replace(section, () => expected),
      )
    expect(section.exec(read(path))?.[0]).toBe(expected)
  })

  test('is complete because every setting says what it means', () => {
    const fields = Object.entries(settings(environment as unknown as Field))
    expect(fields.length).toBeGreaterThan(20)
    for (const [name, { description }] of fields) expect(description, name).toMatch(/\.$/)
  })
})

describe('README.md', () => {
  const readme = read('README.md')

  test('has the two command lines that do all the set-up', () => {
    expect(readme).toContain('\nnpm ci && npm start\n')
    expect(readme).toContain('\nnpm ci && npm test\n')
  })

  test('lists every command of the command line', () => {
    const rows = readme.match(/^\| `postern .*$/gm) ?? []
    for (const { noun, verb } of operations()) {
      const row = rows.find((line) => line.startsWith(`| \`postern ${noun} `))
      expect(row, noun).toMatch(new RegExp(`[\` ]${verb}\``))
    }
  })

  test('names every folder and module at the top of the source', () => {
    for (const path of globSync('src/*', { cwd: repository })) {
      const name = path.slice('src/'.length)
      if (!['log.ts', 'runtime.ts'].includes(name)) expect(readme).toContain(name)
    }
  })

  test('says only of scripts that exist that they can be run', () => {
    const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> }
    for (const document of documents) {
      for (const [, name = ''] of read(document).matchAll(/npm run (?:-\S+ )*([\w-]+)/g))
        expect(scripts).toHaveProperty(name)
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
  const [, model = ''] = read('SECURITY.md').split('## Threat model')
  const named = [...model.matchAll(/`([^`\s]+)`/g)].map(([, name = '']) => name)
  const paths = named.filter((name) => /^[\w-]+\/.*\.ts$/.test(name))
  const tests = named.filter((name) => /^[a-z\d-]+(\/[a-z\d-]+)*$/.test(name))

  test('names tests and files that are there', () => {
    expect(tests.length).toBeGreaterThan(10)
    const files = globSync('test/**/*.test.ts', { cwd: repository }).map((file) => file.replaceAll('\\', '/'))
    const isThere = (name: string) => files.some((file) => new RegExp(`/${name}(-[a-z\\d-]+)?\\.test\\.ts$`).test(file))
    expect(tests.filter((name) => !isThere(name))).toEqual([])
    expect(paths.length).toBeGreaterThan(1)
    expect(paths.filter((path) => !existsSync(join(repository, path)))).toEqual([])
  })
})

describe('every document', () => {
  test('links to files and headings that are there', () => {
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
