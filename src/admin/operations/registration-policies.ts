import { z } from 'zod'
import * as policies from '../../registration/policies.ts'
import {
  builtInPolicies,
  complete,
  type PolicyRules,
  partialPolicyRules,
  policyRules,
} from '../../registration/rules.ts'
import * as stored from '../../stores/clients/registration-policies.ts'
import { type Operation, OperationError, operation } from '../operation.ts'
import { assertMayHandOn, scopesIn } from '../privileges.ts'

export const name = z
  .string()
  .regex(/^[a-z][a-z0-9-]{0,62}$/, 'must be lower-case letters, digits and hyphens')
  .describe('The name of the policy.')

const shownPolicy = z.object({
  name: z.string(),
  built_in: z.boolean(),
  rules: policyRules,
  warnings: z.array(z.string()).optional(),
})

/** Lists the operations on registration policies, which determine the clients that may be registered. */
export function operations(): Operation[] {
  return [
    operation({
      noun: 'registration-policy',
      verb: 'set',
      summary: 'Save a registration policy, replacing any policy with that name',
      scope: 'postern:registration',
      http: { method: 'PUT', path: '/registration-policies/{name}' },
      input: z.strictObject({
        name,
        rules: partialPolicyRules.describe(
          'Rules as JSON. A rule that is left out is taken from the built-in policy with that name, or otherwise from the built-in "default".',
        ),
      }),
      output: shownPolicy,
      async run({ tx, by, record }, input) {
        assertMayHandOn(by, scopesIn(complete(input.name, input.rules)), 'rules.scopes')
        await stored.save(tx, input)
        record({ type: 'registration_policy.saved', details: input })
        return show(await get(tx, input.name))
      },
    }),

    operation({
      noun: 'registration-policy',
      verb: 'list',
      summary: 'List registration policies',
      scope: 'postern:registration:read',
      http: { method: 'GET', path: '/registration-policies' },
      input: z.strictObject({}),
      output: z.object({ items: z.array(shownPolicy) }),
      run: async ({ tx }) => ({ items: (await policies.list(tx)).map(show) }),
    }),

    operation({
      noun: 'registration-policy',
      verb: 'show',
      summary: 'Show a registration policy',
      scope: 'postern:registration:read',
      http: { method: 'GET', path: '/registration-policies/{name}' },
      input: z.strictObject({ name }),
      output: shownPolicy,
      run: async ({ tx }, input) => show(await get(tx, input.name)),
    }),

    operation({
      noun: 'registration-policy',
      verb: 'delete',
      summary: 'Delete a saved registration policy; a built-in policy with that name applies again',
      scope: 'postern:registration',
      http: { method: 'DELETE', path: '/registration-policies/{name}', status: 204 },
      isDestructive: true,
      input: z.strictObject({ name }),
      output: z.object({ name: z.string(), deleted: z.literal(true) }),
      async run({ tx, record }, input) {
        if (!Object.hasOwn(builtInPolicies, input.name) && (await stored.isUsed(tx, input.name))) {
          throw new OperationError('conflict', `Clients or registration tokens use the policy ${input.name}.`)
        }
        if (!(await stored.destroy(tx, input.name))) {
          throw new OperationError('not-found', `There is no saved policy ${input.name}.`)
        }
        record({ type: 'registration_policy.deleted', details: { name: input.name } })
        return { name: input.name, deleted: true as const }
      },
    }),
  ]

  async function get(tx: Parameters<typeof policies.find>[0], wanted: string) {
    const policy = (await policies.list(tx)).find((candidate) => candidate.name === wanted)
    if (!policy) throw new OperationError('not-found', `There is no policy ${wanted}.`)
    return policy
  }

  function show({ name: shown, isBuiltIn, rules }: Awaited<ReturnType<typeof get>>): z.input<typeof shownPolicy> {
    const warnings = warningsOf(rules)
    return { name: shown, built_in: isBuiltIn, rules, ...(warnings.length > 0 && { warnings }) }
  }
}

/** Returns a warning for each risk that the rules allow. */
function warningsOf({ redirect_uris: { dangerous_schemes: schemes, private_hosts: hosts } }: PolicyRules): string[] {
  return [
    ...(schemes.length > 0
      ? [
          `redirect_uris.dangerous_schemes: any app on a device can register ${schemes.join(', ')} there and receive the code. Only PKCE prevents it from redeeming the code (RFC 8252 §8.1, §8.4).`,
        ]
      : []),
    ...(hosts.length > 0
      ? [
          `redirect_uris.private_hosts: if the redirect URI is http, anybody in the network of ${hosts.join(', ')} can read the code (RFC 9700 §2.6).`,
        ]
      : []),
  ]
}
