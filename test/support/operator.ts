import { operations } from '../../src/admin/operations.ts'
import type { TestPostern } from './postern.ts'

/** Does what an operator can do at the command line, such as `operate(postern, 'client disable', { id })`. */
export async function operate(postern: TestPostern, command: string, input: Record<string, unknown>): Promise<unknown> {
  const [noun, verb] = command.split(' ')
  const found = operations().find((operation) => operation.noun === noun && operation.verb === verb)
  if (!found) throw new Error(`there is no ${command}`)
  return found.run({ ...postern.server.postern, config: postern.config } as never, found.input.parse(input) as never)
}
