import type { Context } from 'koa'
import type Provider from 'oidc-provider'
import { errors, type Interaction, type InteractionResults } from 'oidc-provider'
import { z } from 'zod'
import type { Db } from '../../database/schema.ts'
import { addWishes } from '../../oidc/request/reader.ts'
import type { FindStoppedSignIn } from '../../oidc/request/stopped-sign-ins.ts'
import * as accounts from '../../stores/people/accounts.ts'
import type { Csrf } from '../csrf.ts'
import { readForm } from '../forms.ts'
import type { BrowserAccounts } from './browser-accounts.ts'
import { computer, type Stays } from './stays.ts'
import { refuseStray } from './strays.ts'

/** The fields that every form of an interaction has: they prove that one of its pages sent the form. */
export const ownForm = z.object({ csrf: z.string().default(''), uid: z.string().default(''), computer })

/** A sign-in: the account with its epoch when the person proved who they are, and how they did (RFC 8176). */
export type Login = { accountId: string; epoch: number; acr: string; amr: string[]; remember?: boolean }

/** Answers a request for an interaction, with the fields of the form that was sent. */
export type Handler<Fields> = (ctx: Context, interaction: Interaction, fields: Fields) => Promise<void>

export type Interactions = {
  /** Returns the interaction of this path. Throws the page to show when it is over or another browser began it. */
  find(ctx: Context): Promise<Interaction>
  /** Returns the fields of a form of this interaction. Rejects any other form before it reads the fields. */
  readForm<Form extends z.ZodType>(ctx: Context, interaction: Interaction, form: Form): z.output<Form>
  /** Returns the hidden fields of the forms of an interaction. */
  hiddenFields(interaction: Interaction): { uid: string; csrf: string }
  /** Returns whether the sign-in stays when the browser is closed. Otherwise it is short, and the browser is not known later. */
  isLasting(ctx: Context, interaction: Interaction): boolean
  /** Finishes an interaction with a sign-in. Another account that is signed in at this browser stays so. */
  signIn(ctx: Context, interaction: Interaction, login: Login): Promise<void>
  /** Saves the result of an interaction, and leads the browser back to the engine, which continues from there. */
  finish(ctx: Context, interaction: Interaction, result: InteractionResults): Promise<void>
}

/** Finds the interactions of the engine, and hands their results back to it. */
export function createInteractions({
  db,
  provider,
  csrf,
  findStoppedSignIn,
  stays,
  browserAccounts,
}: {
  db: Db
  provider: Provider
  csrf: Csrf
  findStoppedSignIn: FindStoppedSignIn
  stays: Stays
  browserAccounts: BrowserAccounts
}): Interactions {
  async function finish(ctx: Context, interaction: Interaction, result: InteractionResults): Promise<void> {
    await browserAccounts.returnTo(ctx, interaction)
    const returnTo = await provider.interactionResult(ctx.req, ctx.res, result)
    // The engine leaves its cookie behind. Another interaction has another path, so only this one used it.
    ctx.cookies.set(provider.cookieName('interaction'), null, {
      path: `/interaction/${interaction.uid}`,
      overwrite: true,
    })
    ctx.status = 303
    ctx.redirect(returnTo)
  }

  return {
    finish,

    isLasting: (ctx, { uid }) => stays.isLasting(ctx, uid),

    async signIn(ctx, interaction, { remember = stays.isLasting(ctx, interaction.uid), ...login }) {
      const ts = Math.floor(Date.now() / 1000)
      await browserAccounts.turnTo(ctx, interaction, login.accountId)
      // The other prompts that ask who somebody is are answered too.
      const result = { login: { ...login, ts, remember }, select_account: {}, create: {} }
      await finish(ctx, interaction, result as InteractionResults) // the engine stores the epoch as it is
    },

    async find(ctx) {
      const uid = String(ctx['params'].uid)
      let interaction: Interaction | undefined
      try {
        interaction = await provider.interactionDetails(ctx.req, ctx.res)
      } catch (error) {
        if (!(error instanceof errors.SessionNotFound)) throw error
      }
      if (interaction?.uid !== uid) return refuseStray(ctx, uid, findStoppedSignIn)
      addWishes(ctx, { uiLocales: interaction.params['ui_locales'], locale: await localeOf(interaction) })
      return interaction
    },

    readForm(ctx, { uid }, form) {
      const own = readForm(ctx, ownForm)
      csrf.assertOwnForm(ctx, uid, own)
      stays.note(ctx, uid, own.computer)
      return readForm(ctx, form)
    },

    hiddenFields: ({ uid }) => ({ uid, csrf: csrf.tokenFor(uid) }),
  }

  async function localeOf({ session }: Interaction): Promise<unknown> {
    const account = session && (await accounts.findById(db, session.accountId))
    return account?.profile['locale']
  }
}
