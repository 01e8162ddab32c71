import * as policies from '../../registration/policies.ts'
import { complete } from '../../registration/rules.ts'
import * as stored from '../../stores/clients/registration-policies.ts'
import type { Application } from './application.ts'
import { allOf, differencesBetween, flatten } from './differences.ts'
import type { Change } from './plan.ts'
import type { DeclaredPolicy } from './schema.ts'

// The first item of these lists is the default of a client.
const ordered = ['grant_types', 'response_types', 'token_endpoint_auth_methods', 'application_types']

/** Saves a policy if its complete rules differ from the declared ones. */
export async function reconcile(
  { registering: { tx }, perform }: Application,
  name: string,
  rules: DeclaredPolicy,
): Promise<Change | undefined> {
  const current = await policies.find(tx, name)
  const differences = current
    ? differencesBetween(flatten(current.rules), flatten(complete(name, rules).rules), { ordered })
    : allOf(flatten(rules))
  if (current && differences.length === 0) return undefined
  await perform('registration-policy set', { name, rules })
  return { action: current ? 'update' : 'create', kind: 'policy', name, differences }
}

/** Lists the saved policies that are not declared. */
export async function strays({ registering: { tx } }: Application, declared: ReadonlySet<string>): Promise<string[]> {
  return (await stored.list(tx)).map(({ name }) => name).filter((name) => !declared.has(name))
}

export async function remove({ perform }: Application, name: string): Promise<Change> {
  await perform('registration-policy delete', { name })
  return { action: 'delete', kind: 'policy', name, differences: [] }
}
