import type { Context } from 'koa'
import { z } from 'zod'

/** How the sign-ins of a deployment stay: as the person says, always, or never longer than the browser is open. */
export type StayMode = 'ask' | 'always' | 'never'

/** Whether a sign-in stays in a browser after it is closed. */
export type Stays = {
  /** Notes what a form says about the computer. A form that says nothing changes nothing. */
  note(ctx: Context, uid: string, computer: Computer): void
  /** Returns whether the sign-in stays. */
  isLasting(ctx: Context, uid: string): boolean
  /** Whether the page asks. */
  asks: boolean
}

/** The field of a form that asks: `mine` comes with every such form, and `other` with a tick. */
export const computer = z
  .union([z.string(), z.array(z.string())])
  .optional()
  .transform((value) => {
    if (value === undefined) return undefined
    return [value].flat().includes('other') ? 'other' : 'mine'
  })
type Computer = z.output<typeof computer>

/** Keeps the answer in the browser, in a signed cookie that is sent only to the pages of this interaction. */
export function createStays({ mode, isSecure }: { mode: StayMode; isSecure: boolean }): Stays {
  const name = isSecure ? '__Secure-postern_other_computer' : 'postern_other_computer'
  const optionsOf = (uid: string) =>
    ({
      path: `/interaction/${uid}`,
      signed: true,
      httpOnly: true,
      sameSite: 'lax',
      secure: isSecure,
      overwrite: true,
    }) as const

  return {
    asks: mode === 'ask',
    note(ctx, uid, said) {
      if (mode !== 'ask' || said === undefined) return
      ctx.state['computer'] = said
      ctx.cookies.set(name, said === 'other' ? uid : null, optionsOf(uid))
    },
    isLasting(ctx, uid) {
      if (mode !== 'ask') return mode === 'always'
      const said = ctx.state['computer'] ?? (ctx.cookies.get(name, { signed: true }) === uid ? 'other' : 'mine')
      return said === 'mine'
    },
  }
}
