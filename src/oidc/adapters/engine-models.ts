import Provider from 'oidc-provider'
import type { Facts } from '../../stores/protocol/models.ts'

/** A model of the engine, with the members of its payload. */
type Model = { IN_PAYLOAD: readonly string[] }

/** Returns all models that the engine can store, by name. */
export function modelsOf(provider: Provider): Record<string, Model> {
  const base = Object.getPrototypeOf(provider.BaseToken) // the class of models itself is not exposed
  const isModel = (value: unknown): value is Model => typeof value === 'function' && value.prototype instanceof base
  return Object.fromEntries(
    Object.entries(Object.getOwnPropertyDescriptors(Provider.prototype))
      .filter(([name]) => /^[A-Z]/.test(name) && name !== 'BaseToken')
      .flatMap(([name, { get }]) => {
        const model: unknown = get?.call(provider)
        return isModel(model) ? [[name, model]] : []
      }),
  )
}

// The engine consumes a model that is redeemed, puts a grant under what belongs to a login, notes the error of a denial,
// and gives an audience to what APIs accept.
const implied: readonly [member: string, holds: (facts: Facts) => boolean, fact: string][] = [
  ['consumed', ({ redeemed }) => redeemed !== 'never', 'a way to redeem it, since it is used once'],
  ['consumed', ({ parameter }) => parameter !== undefined, 'the parameter that presents it, since it is used once'],
  ['grantId', ({ isOfLogin, redeemed }) => isOfLogin || redeemed === 'by-ending', 'isOfLogin, since it has a grant'],
  ['error', ({ isDecided }) => isDecided, 'isDecided, since a person can deny it'],
  ['aud', ({ isAccessToken }) => isAccessToken, 'isAccessToken, since it has an audience'],
]

/** Returns the first fact that the payload of a model implies and its entry does not state; `undefined` if none is missing. */
export function missingFact(members: readonly string[], facts: Facts): string | undefined {
  return implied.find(([member, holds]) => members.includes(member) && !holds(facts))?.[2]
}
