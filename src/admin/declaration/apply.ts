import { isContention } from '../../database/connect.ts'
import type { Refusal } from '../../registration/refusal.ts'
import { policyRules } from '../../registration/rules.ts'
import * as locks from '../../stores/operations/locks.ts'
import { perform, within } from '../execute.ts'
import { type OperationDependencies, OperationError, type Performer } from '../operation.ts'
import { operations } from '../operations/index.ts'
import type { Application } from './application.ts'
import * as clients from './clients.ts'
import type { Path } from './document.ts'
import type { Change, NewSecret, Plan } from './plan.ts'
import * as policies from './policies.ts'
import { notApplied, type Reading } from './reading.ts'
import * as resources from './resources.ts'
import type { Section } from './schema.ts'
import * as upstreamProviders from './upstream-providers.ts'

export type Applied = { plan: Plan; isApplied: boolean; secrets: NewSecret[] }

export type ApplyOptions = {
  /** Whether to delete everything that is not declared, in the sections that the declaration has. */
  prune: boolean
  by: Performer
  /** Decides, with everything done and nothing committed yet, whether to commit. Otherwise everything is undone. */
  accept(plan: Plan): boolean
}

/**
 * Applies a declaration in one transaction, and one declaration at a time.
 *
 * The plan lists the changes that were made before the commit. Planning and applying therefore follow the same rules, and a
 * plan that was not accepted has been carried out to its end and undone.
 *
 * @throws OperationError that lists every member that cannot be as declared.
 */
export async function apply(
  dependencies: OperationDependencies,
  reading: Reading,
  { prune, by, accept }: ApplyOptions,
): Promise<Applied> {
  const secrets: NewSecret[] = []
  const plan: Plan = { changes: [], unchanged: 0 }
  const declined = new Error('The plan was not accepted.')
  try {
    await within(dependencies, async (tx, changed) => {
      await locks.take(tx, 'apply')
      const { provider, storage } = dependencies
      const application: Application = {
        registering: { tx, provider, storage },
        perform: (command, input) =>
          perform(operationOf(command), { dependencies, tx, changed, by: { ...by, via: 'apply' } }, input) as Promise<
            Record<string, unknown>
          >,
        reveal: (secret) => secrets.push(secret),
      }
      await carryOut(application, reading, plan, prune)
      if (!accept(plan)) throw declined
    })
  } catch (error) {
    if (error === declined) return { plan, isApplied: false, secrets: [] }
    if (isContention(error)) {
      throw new OperationError('conflict', 'Somebody else is changing the same things. Nothing was applied. Try again.')
    }
    throw error
  }
  return { plan, isApplied: true, secrets }
}

/** Makes all changes. It saves each thing after what the thing refers to, and deletes it before that. */
async function carryOut(application: Application, reading: Reading, plan: Plan, prune: boolean): Promise<void> {
  const { declaration, secrets, upstreamSecrets, locate } = reading
  const mistakes: string[] = []

  async function attempt(path: Path, work: () => Promise<Change | undefined>): Promise<void> {
    try {
      const change = await work()
      if (change) plan.changes.push(change)
      else plan.unchanged++
    } catch (error) {
      if (!(error instanceof OperationError)) throw error
      mistakes.push(locate(mistakeOf(path, error.refusal, reading)))
    }
  }
  const settle = () => {
    if (mistakes.length > 0) throw notApplied(mistakes)
  }

  await clients.lock(application, Object.keys(declaration.clients ?? {}), prune)
  for (const [name, rules] of Object.entries(declaration.policies ?? {})) {
    await attempt(['policies', name], () => policies.reconcile(application, name, rules))
  }
  settle()
  for (const [id, client] of Object.entries(declaration.clients ?? {})) {
    await attempt(['clients', id], () => clients.reconcile(application, id, client, secrets.get(id)))
  }
  settle()
  for (const [identifier, resource] of Object.entries(declaration.resources ?? {})) {
    await attempt(['resources', identifier], () => resources.reconcile(application, identifier, resource))
  }
  settle()
  for (const [id, provider] of Object.entries(declaration.upstream_providers ?? {})) {
    const secret = upstreamSecrets.get(id)
    await attempt(['upstream_providers', id], () => upstreamProviders.reconcile(application, id, provider, secret))
  }
  settle()
  if (!prune) return
  for (const [section, { strays, remove }] of Object.entries({
    ...{ resources, clients, policies, upstream_providers: upstreamProviders },
  })) {
    const declared = declaration[section as Section]
    if (!declared) continue
    for (const name of await strays(application, new Set(Object.keys(declared)))) {
      await attempt([section, name], () => remove(application, name))
    }
  }
  settle()
}

function mistakeOf([section, name]: Path, { message, field, rule }: Refusal, { declaration }: Reading) {
  const path = [section ?? '', name ?? '', ...(field === undefined || field === name ? [] : [field])]
  // The place already names the member. But "jwks or jwks_uri is mandatory" begins with a different subject.
  const subject = `${field} `
  const said =
    message.startsWith(subject) && !message.startsWith(`${subject}or `) ? message.slice(subject.length) : message
  const policy = section === 'clients' ? declaration.clients?.[String(name)]?.policy : undefined
  const isRule = rule !== undefined && Object.hasOwn(policyRules.shape, rule.split('.')[0] ?? '')
  return { path, message: policy !== undefined && isRule ? `${said} (policy ${policy}, ${rule})` : said }
}

function operationOf(command: string) {
  const found = operations().find(({ noun, verb }) => `${noun} ${verb}` === command)
  if (!found) throw new Error(`There is no operation ${command}.`)
  return found
}
