import Provider, { type Adapter, type Configuration } from 'oidc-provider'
import { sha256 } from '../../crypto/digests.ts'
import { assertArtifactModel, isArtifactModel } from '../../stores/protocol/models.ts'
import * as replays from '../../stores/protocol/replays.ts'
import { type Storage, translated } from '../request/storage.ts'
import { artifactAdapter } from './artifacts.ts'
import { clientAdapter } from './clients.ts'
import { grantAdapter } from './grants.ts'
import { initialAccessTokenAdapter, registrationAccessTokenAdapter } from './registration-tokens.ts'
import { sessionAdapter } from './sessions.ts'

type AdapterOf = (storage: Storage) => Partial<Adapter>

/** Models with an adapter of their own. All others are artifacts, with an entry in stores/protocol/models.ts. */
const ofOwn: Readonly<Record<string, AdapterOf>> = {
  Client: clientAdapter,
  Session: sessionAdapter,
  Grant: grantAdapter,
  InitialAccessToken: initialAccessTokenAdapter,
  RegistrationAccessToken: (storage) =>
    registrationAccessTokenAdapter(storage, artifactAdapter(storage, 'RegistrationAccessToken')),
  ReplayDetection: ({ db }) => ({
    // The engine's own check reads and then writes; configuration.ts replaces it by one statement.
    upsert: async (id, { exp = 0 }) => void (await replays.redeem(db, sha256(id), new Date(exp * 1000))),
    destroy: (id) => replays.release(db, sha256(id)),
  }),
}

/** The features of the engine without which it never stores anything of a model. */
const storedWith: Readonly<Record<string, string>> = {
  BackchannelAuthenticationRequest: 'ciba',
  PreAuthorizedCode: 'preAuthorizedCode',
}

/** The engine's adapter (its `example/my_adapter.js` names the methods) over PostgreSQL. */
export function adapterWith(storage: Storage): (model: string) => Adapter {
  return (model) => translating(adapterOf(storage, model))
}

/**
 * Refuses to start with an engine that stores a model which we know nothing about: its values would be neither revoked
 * with their login nor redeemed once.
 *
 * @throws Error naming the models.
 */
export function assertModelsKnown(provider: Provider, features: Configuration['features']): void {
  const unknown = modelsOf(provider).filter((model) => {
    if (Object.hasOwn(ofOwn, model) || isArtifactModel(model)) return false
    const feature = storedWith[model]
    const switches = features as Readonly<Record<string, { enabled?: boolean }>>
    return feature === undefined || switches[feature]?.enabled === true
  })
  if (unknown.length > 0) {
    throw new Error(`The engine stores models that have no entry in stores/protocol/models.ts: ${unknown.join(', ')}.`)
  }
}

/** The names of all models of which an engine can store something. */
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
  const own = ofOwn[model]
  if (own) return own(storage)
  assertArtifactModel(model)
  return artifactAdapter(storage, model)
}

function translating(adapter: Partial<Adapter>): Adapter {
  const method =
    (name: keyof Adapter) =>
    async (...args: never[]) => {
      const implementation = adapter[name] as ((...args: never[]) => Promise<never>) | undefined
      if (!implementation) throw new Error(`${name} is not something this model has.`)
      return translated(implementation(...args))
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
