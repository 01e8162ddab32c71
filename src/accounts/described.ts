/** The facts that identify an account to its owner, and tells a stranger little. */
export type Described = { name: string; email: string }

/**
 * Describes an account for a page or a mail that somebody else may get, because the address in it can be theirs: by its
 * name, and by so much of its address that its owner knows it again.
 */
export function describe({ email, profile }: { email: string; profile: Record<string, unknown> }): Described {
  return { name: plainName(profile['name']), email: maskedEmail(email) }
}

/** Returns an address with most of its part before the @ left out: `ad•••@example.com`. */
export function maskedEmail(email: string): string {
  const at = email.lastIndexOf('@')
  const letters = [...email.slice(0, at)]
  return `${letters.slice(0, letters.length > 4 ? 2 : 1).join('')}•••${email.slice(at)}`
}

const longestName = 60

/**
 * Returns a name if it is one that people have, and nothing otherwise: people choose their own, and a stranger shall not
 * get an advertisement or a link from us.
 */
function plainName(name: unknown): string {
  const isPlain = typeof name === 'string' && /^[\p{L}\p{M} .’'-]+$/u.test(name) && !/\S\.\S/.test(name)
  return isPlain && name.length <= longestName ? name.trim() : ''
}
