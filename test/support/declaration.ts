import { type Applied, apply } from '../../src/admin/declaration/apply.ts'
import { read } from '../../src/admin/declaration/reading.ts'
import type { Postern } from '../../src/assemble/index.ts'
import type { TestPostern } from './postern.ts'

export type Declaring = { prune?: boolean; accept?: () => boolean; secrets?: Record<string, string> }

/** Applies a declaration as `postern apply` does. `secrets` is the environment that it may refer to. */
export async function declare(
  postern: TestPostern | Postern,
  text: string,
  { prune = false, accept = () => true, secrets = {} }: Declaring = {},
): Promise<Applied> {
  const reading = await read([{ name: 'postern.yaml', text }], async ({ env }) => secrets[env ?? ''] ?? '')
  const dependencies = 'server' in postern ? postern.server.postern : postern
  return apply(dependencies, reading, { prune, by: { actor: 'operator:test' }, accept })
}

/** Returns a plan in short, such as `create client web`. */
export const inShort = ({ plan }: Applied): string[] =>
  plan.changes.map(({ action, kind, name }) => `${action} ${kind} ${name}`)
