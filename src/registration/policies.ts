import type { Db } from '../database/schema.ts'
import * as stored from '../stores/clients/registration-policies.ts'
import { builtInPolicies, complete, type Policy } from './rules.ts'

/** Finds a policy by name. Rules that an administrator saved are laid over the built-in ones. */
export async function find(db: Db, name: string): Promise<Policy | undefined> {
  const saved = await stored.find(db, name)
  return saved || Object.hasOwn(builtInPolicies, name) ? complete(name, saved?.rules) : undefined
}

/** Lists all policies by name, including the built-in ones. */
export async function list(db: Db): Promise<(Policy & { isBuiltIn: boolean })[]> {
  const saved = await stored.list(db)
  const names = new Set([...Object.keys(builtInPolicies), ...saved.map(({ name }) => name)])
  return [...names].sort().map((name) => {
    const own = saved.find((policy) => policy.name === name)
    return { ...complete(name, own?.rules), isBuiltIn: own === undefined }
  })
}
