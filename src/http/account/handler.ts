import type { Context } from 'koa'
import { z } from 'zod'
import type { SignedIn } from './signed-in.ts'

/** The field that every form of these pages has: it proves that one of them sent the form. */
export const accountForm = z.object({ csrf: z.string().default('') })

/** Answers a request of the signed-in person, with the fields of the form that was sent. */
export type AccountHandler<Fields> = (ctx: Context, person: SignedIn, fields: Fields) => Promise<void>
