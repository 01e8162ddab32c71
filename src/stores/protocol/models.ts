import type { EventType } from '../operations/audit-events.ts'

/** The facts about a model of the engine whose artifacts are stored under the hash of a bearer value. */
export type Facts = {
  /** The model in words, for reasons and log lines. */
  noun: string
  /** The request parameter that presents it, if there is one. */
  parameter: string | undefined
  /** The seconds that a row is kept after it expired, so that a replay is recognised until then. */
  keptSeconds: number
  /** Whether it belongs to a login, and is revoked with it. */
  isOfLogin: boolean
  /** Whether its payload contains confidential values, so that it is encrypted as a whole. */
  isSealed: boolean
  /**
   * How its single use is redeemed: `with-writes` in the statement that issues something for it, `at-once` in a
   * statement of its own before the engine goes on, `by-ending` in the statement that deletes it, `never` if it may be
   * used again.
   */
  redeemed: 'with-writes' | 'at-once' | 'by-ending' | 'never'
  /** The event that records that it was presented a second time. */
  reuseEvent: EventType
  /** Whether a person approves or denies it, which happens once: the first decision wins. */
  isDecided: boolean
  /** Whether having one shows that its client is in use, so that the client is not removed as unused. */
  provesUse: boolean
  /** Whether it is found until it is deleted, and not only until it expires. */
  isFoundExpired: boolean
  /** Whether an API accepts it: it has an audience, ends with its API, and is narrowed whenever it is used. */
  isAccessToken: boolean
}

// Longer than the clocks of two processes may differ, and longer than an expired artifact is still found.
const briefly = 300
const anHour = 3_600

const ordinary = {
  parameter: undefined,
  keptSeconds: briefly,
  isOfLogin: false,
  isSealed: false,
  redeemed: 'never',
  reuseEvent: 'code.reused',
  isDecided: false,
  provesUse: false,
  isFoundExpired: false,
  isAccessToken: false,
} as const satisfies Omit<Facts, 'noun'>

/**
 * Everything that depends on the model of an artifact. The adapter refuses to start with an engine that stores a model
 * which has no entry here.
 *
 * A redeemed code is kept for its minute, a rotated refresh token for as long as it would have been valid (RFC 9700
 * §4.14.2). After that neither is found, so keeping it longer is pointless.
 */
export const models = {
  AuthorizationCode: {
    ...ordinary,
    noun: 'authorization code',
    parameter: 'code',
    isOfLogin: true,
    redeemed: 'with-writes',
    provesUse: true,
  },
  RefreshToken: {
    ...ordinary,
    noun: 'refresh token',
    parameter: 'refresh_token',
    isOfLogin: true,
    redeemed: 'with-writes',
    reuseEvent: 'refresh_token.reused',
    provesUse: true,
  },
  DeviceCode: {
    ...ordinary,
    noun: 'device code',
    parameter: 'device_code',
    isOfLogin: true,
    redeemed: 'with-writes',
    isDecided: true,
  },
  PushedAuthorizationRequest: {
    ...ordinary,
    noun: 'pushed request',
    parameter: 'request_uri',
    keptSeconds: anHour, // so that of several sign-ins begun with one, only one is answered
    isSealed: true,
    redeemed: 'at-once',
    isFoundExpired: true, // a sign-in that began with it asks whether it was answered
  },
  AccessToken: {
    ...ordinary,
    noun: 'access token',
    parameter: 'access_token',
    isOfLogin: true,
    provesUse: true,
    isAccessToken: true,
  },
  ClientCredentials: { ...ordinary, noun: 'access token', provesUse: true, isAccessToken: true },
  Interaction: {
    ...ordinary,
    noun: 'interaction',
    keptSeconds: anHour, // so that a page left open says that it expired or was answered, and leads back to the app
    isSealed: true,
    redeemed: 'by-ending',
  },
  Receipt: { ...ordinary, noun: 'receipt' },
  RegistrationAccessToken: { ...ordinary, noun: 'registration access token' }, // never expires; deleted with its client
} as const satisfies Record<string, Facts>

/** The name of a model whose artifacts are stored under the hash of a bearer value. */
export type ArtifactModel = keyof typeof models

/** A model whose artifacts APIs accept. */
export type AccessTokenModel = {
  [Model in ArtifactModel]: (typeof models)[Model]['isAccessToken'] extends true ? Model : never
}[ArtifactModel]

/** Returns the facts about a model. */
export const factsOf = (model: ArtifactModel): Facts => models[model]

/** Lists the models whose facts satisfy a condition, in the order of the table. */
export function modelsWith(is: (facts: Facts) => boolean): ArtifactModel[] {
  return (Object.keys(models) as ArtifactModel[]).filter((model) => is(models[model]))
}

/** Returns whether a model has an entry. */
export const isArtifactModel = (model: string): model is ArtifactModel => Object.hasOwn(models, model)

/** @throws Error for a model that has no entry. */
export function assertArtifactModel(model: string): asserts model is ArtifactModel {
  if (!isArtifactModel(model)) throw new Error(`The model ${model} has no entry in stores/protocol/models.ts.`)
}
