import { writeFile } from 'node:fs/promises'
import { exportDeclaration } from '../admin/declaration/export.ts'
import type { Command } from './command.ts'

/** `postern export`. */
export const exportCommand: Command = {
  name: 'export',
  summary: 'Write policies, resources and clients to a file for postern apply, without secrets',
  options: { output: { short: 'o', value: 'FILE', description: 'The file to write. Default: standard output.' } },
  async run({ output }, { withPostern }) {
    const text = await withPostern(exportDeclaration)
    if (typeof output === 'string') await writeFile(output, text)
    else process.stdout.write(text)
  },
}
