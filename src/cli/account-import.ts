import { once } from 'node:events'
import { createReadStream } from 'node:fs'
import { type FileHandle, open, stat } from 'node:fs/promises'
import type { Readable } from 'node:stream'
import { execute } from '../admin/execute.ts'
import { importAccounts, mostAccounts } from '../admin/operations/account-import.ts'
import { printable } from '../log/style.ts'
import type { Command, Given } from './command.ts'
import { misuseOf } from './help.ts'
import { createProgress } from './import-progress.ts'
import { type Line, linesOf } from './lines.ts'
import type { Session } from './session.ts'
import { Usage } from './usage.ts'

const someRejected = 3 // no error has this exit status
const atOnce = Math.min(500, mostAccounts) // lines of one transaction: a quick one, and few of them
const longestLine = 1_048_576 // bytes, more than an account may have
const bytesAtOnce = 16 * longestLine // as JSON, of the lines of one transaction
const longestReason = 300 // characters: a reason can repeat names that are in the line

type Outcome = { created: number; existing: number; rejected: { index: number; field?: string; message: string }[] }
type Rejected = Line & { reason: string }

/** `postern account import`, which imports a file of any length in batches. */
export const importCommand: Command = {
  name: 'account import',
  summary: 'Import accounts of another system, with the hashes of their passwords',
  notes: `The file has one JSON object a line; docs/import.md lists its members. A line whose address has an account already is
skipped, so the command can be interrupted and run again. It exits with status ${someRejected} if it rejected lines.`,
  options: {
    file: { value: 'FILE', isRequired: true, description: 'The file; - means standard input.' },
    'from-line': { value: 'NUMBER', description: 'The first line to import. Default: 1.' },
    rejected: {
      value: 'FILE',
      description:
        'A new file for the lines that are rejected, to be corrected and imported. It is only readable for you.',
    },
    json: { description: 'Show JSON, which is the default without a terminal.' },
  },
  operand: 'file',
  run,
}

async function run(given: Given, session: Session): Promise<void> {
  const { path, firstLine, rejectedPath } = readOptions(given)
  await using opened = new AsyncDisposableStack() // closes the files
  const { input, size } = await openInput(path)
  opened.defer(() => void input.destroy())
  const rejectedFile = rejectedPath === undefined ? undefined : opened.use(await openNew(rejectedPath))
  const operation = importAccounts()
  const total = { lines: 0, created: 0, existing: 0, rejected: 0 }
  const progress = createProgress(process.stderr)
  let next = firstLine
  try {
    await session.withPostern(async (postern) => {
      const importLines = (accounts: unknown[]) => execute(operation, postern, { accounts }, session.by)
      for await (const lines of batchesOf(input, firstLine)) {
        const { created, existing, rejected } = await importBatch(lines, importLines)
        for (const { number, reason } of rejected) progress.note(`line ${number}: ${shown(reason)}`)
        await rejectedFile?.appendFile(rejected.flatMap(({ text }) => (text === undefined ? [] : `${text}\n`)).join(''))
        total.lines += lines.length
        total.created += created
        total.existing += existing
        total.rejected += rejected.length
        next = (lines.at(-1)?.number ?? next) + 1
        progress.show(total, size === undefined ? undefined : input.bytesRead / size)
      }
    })
  } catch (error) {
    progress.note(`Stopped before line ${next}. To continue, run the command again with --from-line ${next}.`)
    throw error
  } finally {
    progress.end()
  }
  const isRead = process.stdout.isTTY && !given['json']
  process.stdout.write(isRead ? progress.summary(total) : `${JSON.stringify(total, null, 2)}\n`)
  if (total.rejected > 0) process.exitCode = someRejected
}

async function importBatch(
  lines: readonly Line[],
  importLines: (accounts: unknown[]) => Promise<unknown>,
): Promise<{ created: number; existing: number; rejected: Rejected[] }> {
  const read = lines.map((line) => ({ line, account: parsed(line.text) }))
  const malformed = read.filter(({ account }) => account === undefined).map(({ line }) => line)
  const wellFormed = read.filter(({ account }) => account !== undefined)
  const none: Outcome = { created: 0, existing: 0, rejected: [] }
  const outcome =
    wellFormed.length === 0 ? none : ((await importLines(wellFormed.map(({ account }) => account))) as Outcome)
  const rejected = [
    ...malformed.map((line) => ({ ...line, reason: line.text === undefined ? tooLong : 'is not a JSON object' })),
    ...outcome.rejected.flatMap(({ index, field, message }) => {
      const line = wellFormed[index]?.line
      return line ? [{ ...line, reason: field === undefined ? message : `${field}: ${message}` }] : []
    }),
  ]
  return { ...outcome, rejected: rejected.sort((a, b) => a.number - b.number) }
}

const tooLong = `has more than ${longestLine} bytes; it is not in the file of rejected lines`

/** Returns a reason as a terminal may show it. */
function shown(reason: string): string {
  const text = printable(reason)
  return text.length <= longestReason ? text : `${text.slice(0, longestReason - 1)}…`
}

/** Reads a line, or returns `undefined`. The message of a parser is not shown, because it repeats a part of the line. */
function parsed(text = ''): object | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : undefined
  } catch {
    return undefined
  }
}

/** Reads the lines that are not empty, some at a time. */
async function* batchesOf(input: Readable, firstLine: number): AsyncGenerator<Line[]> {
  let lines: Line[] = []
  let bytes = 0
  for await (const line of linesOf(input, longestLine)) {
    if (line.number < firstLine || line.text?.trim() === '') continue
    lines.push(line)
    bytes += line.text?.length ?? 0
    if (lines.length < atOnce && bytes < bytesAtOnce) continue
    yield lines
    lines = []
    bytes = 0
  }
  if (lines.length > 0) yield lines
}

function readOptions(given: Given): { path: string; firstLine: number; rejectedPath: string | undefined } {
  const misused = (problem: string) => new Usage(misuseOf(importCommand, problem))
  const { file, rejected, 'from-line': from = '1' } = given
  if (typeof file !== 'string') throw misused('Name one file, or use - for standard input.')
  if (typeof from !== 'string' || !/^[1-9]\d{0,8}$/.test(from)) throw misused('--from-line must be a number from 1.')
  if (rejected !== undefined && typeof rejected !== 'string') throw misused('--rejected must be one file.')
  return { path: file, firstLine: Number(from), rejectedPath: rejected }
}

async function openInput(path: string): Promise<{ input: Readable & { bytesRead: number }; size: number | undefined }> {
  if (path === '-') return { input: Object.assign(process.stdin, { bytesRead: 0 }), size: undefined }
  try {
    const { size } = await stat(path)
    const input = createReadStream(path)
    await once(input, 'open')
    return { input, size }
  } catch (error) {
    throw new Usage(`${path} cannot be read (${(error as NodeJS.ErrnoException).code}).`)
  }
}

/** Creates a file that only its owner may read, because a hash can be guessed from. */
async function openNew(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'wx', 0o600)
  } catch (error) {
    throw new Usage(`${path} cannot be created (${(error as NodeJS.ErrnoException).code}).`)
  }
}
