import Provider, { type Adapter, type Configuration } from 'oidc-provider'
import { sha256 } from '../../crypto/digests.ts'
import { assertArtifactModel, isArtifactModel } from '../../stores/protocol/models.ts'
import * as replays from '../../stores/protocol/replays.ts'
import { type Storage, withEngineErrors } from '../request/storage.ts'
import { artifactAdapter } from './artifacts.ts'
import { clientAdapter } from './clients.ts'
import { grantAdapter } from './grants.ts'
import { initialAccessTokenAdapter, registrationAccessTokenAdapter } from './registration-tokens.ts'
import { sessionAdapter } from './sessions.ts'

type AdapterOf = (storage: Storage) => Partial<Adapter>

/** The models with an adapter of their own. All others are artifacts, with an entry in `stores/protocol/models.ts`. */
const ownAdapters: Readonly<Record<string, AdapterOf>> = {
  Client: clientAdapter,
  Session: sessionAdapter,
  Grant: grantAdapter,
  InitialAccessToken: initialAccessTokenAdapter,
  RegistrationAccessToken: (storage) =>
    registrationAccessTokenAdapter(storage, artifactAdapter(storage, 'RegistrationAccessToken')),
  ReplayDetection: ({ db }) => ({
    // The engine checks and then writes; `configuration.ts` replaces that by one statement.
    upsert: async (id, { exp = 0 }) => void (await replays.redeem(db, sha256(id), new Date(exp * 1000))),
    destroy: (id) => replays.release(db, sha256(id)),
  }),
}

/** The models that the engine stores only with a feature, by that feature. */
const storedWith: Readonly<Record<string, string>> = {
  BackchannelAuthenticationRequest: 'ciba',
  PreAuthorizedCode: 'preAuthorizedCode',
}

/** Creates the engine's adapter over PostgreSQL. The engine's `example/my_adapter.js` names the methods. */
export function adapterWith(storage: Storage): (model: string) => Adapter {
  return (model) => translating(adapterOf(storage, model))
}

/**
 * Checks that every model which the engine stores is known here. The values of an unknown one would be neither revoked
 * with their login nor redeemed once.
 *
 * @throws Error naming the unknown models.
 */
export function assertModelsKnown(provider: Provider, features: Configuration['features']): void {
  const unknown = modelsOf(provider).filter((model) => {
    if (Object.hasOwn(ownAdapters, model) || isArtifactModel(model)) return false
    const feature = storedWith[model]
    const switches = features as Readonly<Record<string, { enabled?: boolean }>>
    return feature === undefined || switches[feature]?.enabled === true
  })
  if (unknown.length > 0) {
    throw new Error(`The engine stores models that have no entry in stores/protocol/models.ts: ${unknown.join(', ')}.`)
  }
}

/** Returns the names of all models that the engine can store. */
function modelsOf(provider: Provider): string[] {
  const base = Object.getPrototypeOf(provider.BaseToken) // the class of models itself is not exposed
  return Object.entries(Object.getOwnPropertyDescriptors(Provider.prototype))
    .filter(([name]) => /^[A-Z]/.test(name) && name !== 'BaseToken')
    .filter(([, { get }]) => {
      const model: unknown = get?.call(provider)
      return typeof model === 'function' && model.prototype instanceof base
    })
    .map(([name]) => name)
}

function adapterOf(storage: Storage, model: string): Partial<Adapter> {
  const own = ownAdapters[model]
  if (own) return own(storage)
  assertArtifactModel(model)
  return artifactAdapter(storage, model)
}

function translating(adapter: Partial<Adapter>): Adapter {
  const method =
    (name: keyof Adapter) =>
    async (...args: never[]) => {
      const implementation = adapter[name] as ((...args: never[]) => Promise<never>) | undefined
      if (!implementation) throw new Error(`This model has no ${name}.`)
      return withEngineErrors(implementation(...args))
    }
  return {
    find: method('find'),
    findByUid: method('findByUid'),
    findByUserCode: method('findByUserCode'),
    upsert: method('upsert'),
    consume: method('consume'),
    destroy: method('destroy'),
    revokeByGrantId: method('revokeByGrantId'),
  }
}
