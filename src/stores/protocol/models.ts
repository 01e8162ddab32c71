// Longer than the clocks of two processes may differ, and than an artifact is still found after it expired.
const briefly = 300

/**
 * How long an artifact of each model is kept after it expired, in seconds. Until then a replay is recognised: a code
 * that was redeemed lives for its minute, a refresh token that was rotated for as long as it would have been valid
 * (RFC 9700 §4.14.2). After it, neither is found, so keeping it longer would serve nobody.
 */
export const keptSeconds = {
  AccessToken: briefly,
  AuthorizationCode: briefly,
  ClientCredentials: briefly,
  DeviceCode: briefly,
  Interaction: 3_600, // so that a page left open says that it expired or was answered, and leads back to the app
  PushedAuthorizationRequest: 3_600, // so that of several sign-ins begun with one, only one is answered
  Receipt: briefly,
  RefreshToken: briefly,
  RegistrationAccessToken: briefly, // has no expiry: it goes with its client
} as const

/** What the engine stores under a bearer value, by model. */
export type ArtifactModel = keyof typeof keptSeconds

/** @throws Error for a model that nobody has said of how long its rows are kept. */
export function assertArtifactModel(model: string): asserts model is ArtifactModel {
  if (!Object.hasOwn(keptSeconds, model)) throw new Error(`There is no retention for the model ${model}.`)
}
