import { z } from 'zod'

const unitSeconds: Record<string, number> = { s: 1, m: 60, h: 3_600, d: 86_400 }

const read = (value: unknown) => {
  const [, count, unit] = /^\s*(\d+(?:\.\d+)?)\s*([smhd])\s*$/.exec(String(value)) ?? []
  return count !== undefined && unit !== undefined ? Math.round(Number(count) * (unitSeconds[unit] ?? 1)) : value
}

const error: z.core.$ZodErrorMap = ({ code }) =>
  code === 'invalid_type' ? 'must be whole seconds, or a time such as 10m, 1h or 7d' : undefined

/** A positive number of seconds, written as a number or with a unit: `90`, `10m`, `1h`, `7d`. */
export const seconds = z.preprocess(read, z.coerce.number({ error }).int({ error }).positive())

/** The same, or 0. */
export const secondsOrNone = z.preprocess(read, z.coerce.number({ error }).int({ error }).min(0))

/** The length of a pause of this process, which may be shorter than a second. */
export const pauseSeconds = z.preprocess(read, z.coerce.number({ error }).min(0))
