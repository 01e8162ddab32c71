import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { commands } from '../../../src/cli/commands.ts'
import { createCanaries } from '../../support/canaries.ts'
import { aboutNobody, bare, everything, missing, theRest } from './commands.ts'

test('test/contract/canaries/commands.ts has a command line of every command, so that the canaries look at its output', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'postern-commands-'))
  try {
    const first = await everything(createCanaries(), folder, 'marker')
    const lines = first.map((command) => (Array.isArray(command) ? command : command.args))
    const names = commands().map(({ name }) => name)
    const served = names.filter((name) => name !== 'start')
    expect(missing(served, [...lines, ...theRest('marker', 'kid', () => 'id'), ...aboutNobody('')])).toEqual([])
    for (const name of bare) expect(names).toContain(name)
  } finally {
    await rm(folder, { recursive: true })
  }
})
