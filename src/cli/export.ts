import { writeFile } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { exportDeclaration } from '../admin/declaration/export.ts'
import type { Session } from './session.ts'
import { misuse, Usage } from './usage.ts'

const help = `postern export: Write policies, resources and clients as a file for postern apply, without secrets.

  --output FILE   Where to write it. Default: standard output.`

/** `postern export`. */
export async function run(args: string[], { withPostern }: Session): Promise<void> {
  const { output, help: isAsked } = readOptions(args)
  if (isAsked) return void process.stdout.write(`${help}\n`)
  const text = await withPostern(exportDeclaration)
  if (output === undefined) process.stdout.write(text)
  else await writeFile(output, text)
}

function readOptions(args: string[]) {
  const options = { output: { type: 'string', short: 'o' }, help: { type: 'boolean', short: 'h' } } as const
  try {
    return parseArgs({ args, options, strict: true }).values
  } catch (error) {
    throw new Usage(`${misuse(error, options)}\n\n${help}`)
  }
}
