import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { delimiter, dirname, join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)
const repository = join(import.meta.dirname, '..', '..')

export type Shell = { cwd: string; env: Record<string, string | undefined>; programs?: string | undefined }

/** Returns the blocks of shell commands below a heading of a document, up to the next heading. */
export async function commandsBelow(document: string, heading: string): Promise<string[]> {
  const text = await readFile(join(repository, document), 'utf8')
  const section = text.split(/^#+ /m).find((part) => part.startsWith(`${heading}\n`))
  const blocks = [...(section ?? '').matchAll(/^```sh\n([\s\S]*?)^```$/gm)].map(([, block = '']) => block)
  if (blocks.length === 0) throw new Error(`${document} shows no commands below "${heading}"`)
  return blocks
}

/** Runs commands as a person would who copied them from a document. `./postern` is the one of this checkout. */
export function runCommands(
  commands: string,
  { cwd, env, programs }: Shell,
): Promise<{ stdout: string; stderr: string }> {
  const script = ['set -euo pipefail', commands.replaceAll('./postern ', `${join(repository, 'postern')} `)].join('\n')
  const places = [programs, dirname(process.execPath), process.env['PATH']]
  const PATH = places.filter((place) => place !== undefined).join(delimiter)
  return run('bash', ['--norc', '-c', script], { cwd, env: { ...env, PATH } })
}
