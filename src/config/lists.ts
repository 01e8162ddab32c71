import { z } from 'zod'

/** A comma-separated list. Blanks around entries are dropped, and so are empty entries. */
export const list = z
  .string()
  .default('')
  .transform((value) =>
    value
      .split(',')
      .map((item) => item.trim())
      .filter(Boolean),
  )

/** Says whether this is one host, with a port or without, and nothing else. */
export const isHost = (host: string): boolean => !/[*/\\?#@\s]/.test(host) && URL.canParse(`https://${host}`)

/** Returns a host as URLs spell it: in lower case and ASCII, without the port 443. */
export const hostAsInUrls = (host: string): string => new URL(`https://${host}`).host
