import type { Secret } from '../../secret.ts'
import { OperationError } from '../operation.ts'
import { chosenSecret } from '../operations/client-secrets.ts'
import { secret as upstreamSecret } from '../operations/upstream-providers.ts'
import { type Document, type Position, parse, type Source } from './document.ts'
import { type Mistake, mistakesOf, spell } from './mistakes.ts'
import { type Declaration, declaration, type SecretPlace, type Section } from './schema.ts'

/** Finds a secret in the environment variable or file that a source names. Throws an OperationError if it is missing. */
export type FindSecret = (from: SecretPlace, source: Source) => Promise<string>

export type Reading = {
  declaration: Declaration
  /** The declared secrets, by the IDs of their clients. */
  secrets: ReadonlyMap<string, Secret>
  /** The same of upstream providers. */
  upstreamSecrets: ReadonlyMap<string, Secret>
  /** Writes a mistake as one line: file, line, column, member, and what is wrong. */
  locate(mistake: Mistake): string
}

type Read = { source: Source; document: Document; declared: Declaration }

const sections: readonly Section[] = ['policies', 'resources', 'clients', 'upstream_providers']

/**
 * Reads a declaration from one source, or from several that declare different things.
 *
 * @throws OperationError that lists every mistake.
 */
export async function read(sources: readonly Source[], findSecret: FindSecret): Promise<Reading> {
  const results = sources.map(readOne)
  const faults = results.flatMap((result) => ('lines' in result ? result.lines : []))
  if (faults.length > 0) throw notApplied(faults)

  const reads = results.filter((result) => 'declared' in result)
  const duplicates = duplicatesIn(reads)
  if (duplicates.length > 0) throw notApplied(duplicates)

  const secrets = new Map<string, Secret>()
  const upstreamSecrets = new Map<string, Secret>()
  const missing: string[] = []
  for (const one of reads) {
    for (const [id, { client_secret: from }] of Object.entries(one.declared.clients ?? {})) {
      if (!from) continue
      const found = await secretOf(from, one.source, findSecret, chosenSecret)
      if (typeof found !== 'string') secrets.set(id, found)
      else missing.push(lineOf(one, { path: ['clients', id, 'client_secret'], message: found }))
    }
    for (const [id, { secret: from }] of Object.entries(one.declared.upstream_providers ?? {})) {
      if (!from) continue
      const found = await secretOf(from, one.source, findSecret, upstreamSecret)
      if (typeof found !== 'string') upstreamSecrets.set(id, found)
      else missing.push(lineOf(one, { path: ['upstream_providers', id, 'secret'], message: found }))
    }
  }
  if (missing.length > 0) throw notApplied(missing)

  return {
    declaration: merge(reads.map(({ declared }) => declared)),
    secrets,
    upstreamSecrets,
    locate(mistake) {
      const [section, name] = mistake.path
      const owner = reads.find(({ document }) => document.has([section ?? '', name ?? '']))
      return owner ? lineOf(owner, mistake) : `${spell(mistake.path)}: ${mistake.message}`
    },
  }
}

function readOne(source: Source): Read | { lines: string[] } {
  const document = parse(source)
  if (Array.isArray(document)) {
    return { lines: document.map(({ position, message }) => `${placeOf(source, position)}: ${message}`) }
  }
  const { data, error } = declaration.safeParse(document.value)
  if (data) return { source, document, declared: data }
  const mistakes = mistakesOf(error.issues, document.has)
    .map((mistake) => ({ ...mistake, position: document.positionOf(mistake.path) }))
    .sort(({ position: a }, { position: b }) => a.line - b.line || a.column - b.column)
  return { lines: mistakes.map((mistake) => lineOf({ source, document }, mistake)) }
}

function duplicatesIn(reads: readonly Read[]): string[] {
  const lines: string[] = []
  const owners = new Map<string, Read>()
  for (const one of reads) {
    for (const path of sections.flatMap((section) => namesOf(one.declared, section).map((name) => [section, name]))) {
      const key = spell(path)
      const first = owners.get(key)
      if (first) {
        const place = placeOf(first.source, first.document.positionOf(path))
        lines.push(lineOf(one, { path, message: `is already declared at ${place}` }))
      } else owners.set(key, one)
    }
  }
  return lines
}

const namesOf = (declared: Declaration, section: Section) => Object.keys(declared[section] ?? {})

function merge(declarations: readonly Declaration[]): Declaration {
  const merged: Declaration = { version: 1 }
  for (const section of sections) {
    const given = declarations.map((declared) => declared[section]).filter((entries) => entries !== undefined)
    if (given.length > 0) Object.assign(merged, { [section]: Object.assign({}, ...given) })
  }
  return merged
}

/** Returns the secret, or the reason why there is none. The reason never repeats the value, not even an invalid one. */
async function secretOf(
  from: SecretPlace,
  source: Source,
  findSecret: FindSecret,
  schema: typeof chosenSecret,
): Promise<Secret | string> {
  try {
    const { data, error } = schema.safeParse(await findSecret(from, source))
    return data === undefined ? (error?.issues.map(({ message }) => message).join(', ') ?? '') : data
  } catch (error) {
    if (!(error instanceof OperationError)) throw error
    return error.message
  }
}

function lineOf({ source, document }: Pick<Read, 'source' | 'document'>, { path, message }: Mistake): string {
  const place = placeOf(source, document.positionOf(path))
  return path.length > 0 ? `${place}: ${spell(path)}: ${message}` : `${place}: ${message}`
}

const placeOf = ({ name }: Source, { line, column }: Position) => `${name}:${line}:${column}`

/** Creates the error of a declaration that was not applied, with one line for each mistake. */
export function notApplied(lines: readonly string[]): OperationError {
  return new OperationError('invalid', [...lines, 'Nothing was applied.'].join('\n'))
}
