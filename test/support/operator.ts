import { execute } from '../../src/admin/execute.ts'
import { operations } from '../../src/admin/operations/index.ts'
import type { Postern } from '../../src/assemble/index.ts'
import type { TestPostern } from './postern.ts'

/** Runs an operation of the command line, such as `operate(postern, 'client disable', { client_id })`. */
export function operate(postern: TestPostern, command: string, input: Record<string, unknown>): Promise<unknown> {
  return operateOn(postern.server.postern, command, input)
}

/** Runs an operation of the command line on a Postern without a server. */
export async function operateOn(postern: Postern, command: string, input: Record<string, unknown>): Promise<unknown> {
  const found = operations().find(({ noun, verb }) => `${noun} ${verb}` === command)
  if (!found) throw new Error(`there is no ${command}`)
  return execute(found, postern, input, { actor: 'operator:test' })
}
