/** Everything that can be wrong with an access token or its proof: the error code, and the sentence that goes with it. */
// biome-ignore format: it is a table
export const flaws = {
  'malformed':             ['invalid_request',    'The token must be well formed and sent once'],
  'unknown':               ['invalid_token',      'The token is unknown or no longer valid'],
  'incomplete':            ['invalid_token',      'The token lacks a required claim, or has a malformed one'],
  'other-issuer':          ['invalid_token',      'The token is from another issuer'],
  'other-audience':        ['invalid_token',      'The token is for another audience'],
  'expired':               ['invalid_token',      'The token has expired'],
  'early':                 ['invalid_token',      'The token is not valid yet'],
  'unproven':              ['invalid_token',      'The token is bound to a key, and needs proof of it'],
  'unbound':               ['invalid_token',      'The token is not bound to a DPoP key'],
  'other-key':             ['invalid_token',      'The token is bound to another key'],
  'proof-malformed':       ['invalid_dpop_proof', 'The request needs one DPoP proof that is well formed, signed and recent'],
  'proof-other-method':    ['invalid_dpop_proof', 'The DPoP proof is for another method'],
  'proof-other-address':   ['invalid_dpop_proof', 'The DPoP proof is for another address'],
  'proof-other-token':     ['invalid_dpop_proof', 'The DPoP proof is for another token'],
  'proof-without-jti':     ['invalid_dpop_proof', 'The DPoP proof has no jti'],
  'proof-replayed':        ['invalid_dpop_proof', 'The DPoP proof was used before'],
} as const satisfies Record<string, readonly [error: string, sentence: string]>

/** The name of a flaw. */
export type Flaw = keyof typeof flaws
