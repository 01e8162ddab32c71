/**
 * The part of the environment that processes inherit from the tests: where programs are, and Node's cache of compiled
 * code.
 */
export const inherited: Record<string, string> = Object.fromEntries(
  ['PATH', 'NODE_COMPILE_CACHE'].flatMap((name) => {
    const value = process.env[name]
    return value === undefined ? [] : [[name, value]]
  }),
)
