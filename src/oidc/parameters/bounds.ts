import { errors } from 'oidc-provider'

/**
 * The maximum length of each parameter of an authorization request, in bytes. The parameters are kept with the request
 * until the person has answered, so without a bound a stranger decides how much is kept.
 */
export const parameterBounds = {
  acr_values: 1_024,
  claims: 4_096,
  claims_locales: 512,
  client_id: 2_048, // the id of a client with a metadata document is a URL
  code_challenge: 128, // RFC 7636 §4.2
  code_challenge_method: 32,
  display: 32,
  dpop_jkt: 128,
  idp_hint: 64,
  id_token_hint: 8_192, // one signed with ML-DSA has a signature of 4,412 characters
  login_hint: 1_024,
  max_age: 32,
  nonce: 2_048,
  prompt: 128,
  redirect_uri: 2_048,
  registration: 2_048,
  request: 16_384, // a pushed one is kept as it is (RFC 9126 §3)
  request_uri: 512,
  resource: 4_096, // all values together (RFC 8707 §2)
  response_mode: 64,
  response_type: 64,
  scope: 4_096,
  state: 2_048,
  ui_locales: 512,
} as const satisfies Record<string, number>

// A parameter that the table does not name, such as one that a newer feature brings.
const otherwise = 512
const bounds: Readonly<Record<string, number | undefined>> = parameterBounds

/** The maximum length of a device's description of itself that is kept: enough to recognise the device by. */
const longestUserAgent = 256 // characters

/** Cuts a device's description of itself to the maximum that is shown and kept. */
export function keptUserAgent(given: string): string {
  return given.slice(0, longestUserAgent)
}

/**
 * Checks that no parameter is too long.
 *
 * @throws InvalidRequest naming the first parameter that is, and its maximum.
 */
export function assertBounded(parameters: Record<string, unknown>): void {
  for (const name of new Set([...Object.keys(parameterBounds), ...Object.keys(parameters)])) {
    const most = bounds[name] ?? otherwise
    if (bytesOf(parameters[name]) > most) {
      throw new errors.InvalidRequest(`${name} is too long: it may have at most ${most} bytes`)
    }
  }
}

function bytesOf(value: unknown): number {
  if (value === undefined) return 0
  return [value].flat().reduce<number>((sum, item) => sum + Buffer.byteLength(String(item)), 0)
}
