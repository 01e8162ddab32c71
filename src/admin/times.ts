import { z } from 'zod'

const unitSeconds = { s: 1, m: 60, h: 3_600, d: 86_400 } as const

/** A future time: a duration such as `30d`, `12h`, `15m` or `90s` from now, or a date and time (RFC 3339). */
export const futureMoment = z
  .string()
  .regex(/^\d{1,9}[smhd]$|^\d{4}-\d{2}-\d{2}/, 'must be a duration such as 30d or 12h, or a date such as 2027-01-31')
  .transform((text, ctx) => {
    const [, amount, unit] = /^(\d+)([smhd])$/.exec(text) ?? []
    const moment = amount
      ? new Date(Date.now() + Number(amount) * unitSeconds[unit as keyof typeof unitSeconds] * 1000)
      : new Date(text)
    if (Number.isNaN(moment.getTime()) || moment.getTime() <= Date.now()) {
      ctx.addIssue({ code: 'custom', message: 'must be in the future' })
      return z.NEVER
    }
    return moment
  })

const unitNames = { s: 'second', m: 'minute', h: 'hour', d: 'day', w: 'week' } as const
const msOf = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 } as const

/** A moment and its wording. The wording identifies a list on its next page, when the same words may mean another moment. */
export type WrittenMoment = { at: Date; text: string }

/**
 * A past or future moment, as people write it: `yesterday`, `2 hours ago`, `2h`, `2026-11-01`, or a date and time
 * (RFC 3339). Days begin at midnight UTC because everything is shown in UTC.
 */
export const moment = z.string().transform((text, ctx): WrittenMoment => {
  const at = readMoment(text.trim().toLowerCase(), new Date())
  if (at && !Number.isNaN(at.getTime())) return { at, text }
  ctx.addIssue({
    code: 'custom',
    message: 'must be a moment such as yesterday, 2 hours ago, 2027-01-31 or 2027-01-31T08:00:00Z',
  })
  return z.NEVER
})

function readMoment(text: string, now: Date): Date | undefined {
  const midnight = Math.floor(now.getTime() / msOf.d) * msOf.d
  if (text === 'now') return now
  if (text === 'today') return new Date(midnight)
  if (text === 'yesterday') return new Date(midnight - msOf.d)
  const [, amount, unit = ''] = /^(\d{1,6}|an?) ?([a-z]+)( ago)?$/.exec(text) ?? []
  const known = Object.entries(unitNames).find(([short, name]) =>
    [short, name, `${name}s`, name.slice(0, 3)].includes(unit),
  )
  if (amount !== undefined && known) {
    const count = /^an?$/.test(amount) ? 1 : Number(amount)
    return new Date(now.getTime() - count * msOf[known[0] as keyof typeof msOf])
  }
  const [, day, time, zone] =
    /^(\d{4}-\d{2}-\d{2})(?:[t ](\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?) ?(z|[+-]\d{2}:\d{2})?)?$/.exec(text) ?? []
  if (day === undefined) return undefined
  const date = new Date(`${day}T${time ?? '00:00'}${(zone ?? 'z').toUpperCase()}`)
  const midnightOfIt = new Date(`${day}T00:00Z`)
  if (Number.isNaN(midnightOfIt.getTime())) return undefined
  // JavaScript reads 31 February as a day in March.
  return midnightOfIt.toISOString().startsWith(day) ? date : undefined
}
