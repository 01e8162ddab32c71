import { execute } from '../../src/admin/execute.ts'
import { operations } from '../../src/admin/operations/index.ts'
import type { Postern } from '../../src/assemble/index.ts'
import type { TestPostern } from './postern.ts'

/** Does what an operator can do at the command line, such as `operate(postern, 'client disable', { client_id })`. */
export function operate(postern: TestPostern, command: string, input: Record<string, unknown>): Promise<unknown> {
  return operateOn(postern.server.postern, command, input)
}

/** The same, on what a command line stands on. */
export async function operateOn(postern: Postern, command: string, input: Record<string, unknown>): Promise<unknown> {
  const found = operations().find(({ noun, verb }) => `${noun} ${verb}` === command)
  if (!found) throw new Error(`there is no ${command}`)
  return execute(found, postern, input, { actor: 'operator:test' })
}
