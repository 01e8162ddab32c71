// biome-ignore format: it is a list
const names = ['sub', 'email', 'email_verified', 'updated_at', 'iss', 'aud', 'exp', 'iat', 'nonce', 'acr', 'amr', 'azp'] as const

/** The claims that Postern sets itself, which neither an administrator nor a directory can set. */
export const protectedClaims: readonly string[] = names
