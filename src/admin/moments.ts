import { z } from 'zod'

const unitSeconds = { s: 1, m: 60, h: 3_600, d: 86_400 } as const

/** A time to come: a duration such as `30d`, `12h`, `15m` or `90s` from now, or a date and time (RFC 3339). */
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

/** A moment that was or will be (RFC 3339). */
export const moment = z.iso
  .datetime({ offset: true, error: 'must be a date and time such as 2027-01-31T00:00:00Z' })
  .transform((text) => new Date(text))
