import type { Context } from 'koa'
import type Provider from 'oidc-provider'
import { errors, type Interaction, type InteractionResults } from 'oidc-provider'
import { z } from 'zod'
import type { DirectoryAccounts } from '../../accounts/directory-sign-in.ts'
import { acrOf, type Level } from '../../authentication/levels.ts'
import { madeAt, methodReferences, type Proof, strongest } from '../../authentication/proofs.ts'
import type { Db } from '../../database/schema.ts'
import { addWishes } from '../../oidc/request/reader.ts'
import type { FindStoppedSignIn } from '../../oidc/request/stopped-sign-ins.ts'
import * as accounts from '../../stores/people/accounts.ts'
import type { Csrf } from '../csrf.ts'
import { readForm } from '../forms.ts'
import type { BrowserAccounts } from './browser-accounts.ts'
import type { RefusedForms } from './refused-forms.ts'
import { computer, type Stays } from './stays.ts'
import type { Person, Steps, Traveller } from './steps.ts'
import { refuseStray } from './strays.ts'

/** The fields that every form of an interaction has: they prove that one of its pages sent the form. */
export const ownForm = z.object({ csrf: z.string().default(''), uid: z.string().default(''), computer })

/** A proof that a person has just given: the account with its epoch at that time, and how they did. */
export type Login = { accountId: string; epoch: number; proof: Proof; remember?: boolean }

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
  /**
   * Goes on after a person has proven who they are: finishes the interaction, or leads to the page where they prove more.
   * Nobody is signed in before that is enough. Another account that is signed in at this browser stays so.
   */
  signIn(ctx: Context, interaction: Interaction, login: Login): Promise<void>
  /** Goes on with a person who has begun to prove who they are. Returns `false` if nobody has, or they begin again. */
  goOn(ctx: Context, interaction: Interaction): Promise<boolean>
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
  steps,
  levels,
  refusedForms,
  directory,
}: {
  db: Db
  provider: Provider
  csrf: Csrf
  findStoppedSignIn: FindStoppedSignIn
  stays: Stays
  browserAccounts: BrowserAccounts
  steps: Steps
  levels: readonly Level[]
  refusedForms: RefusedForms
  directory: Pick<DirectoryAccounts, 'isStillIn'> | undefined
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

  /**
   * Returns whether the directory still has the person of a sign-in. The directory itself checked a password just now, and the
   * other ways in know nothing of it. A second factor follows a first one.
   */
  async function isStillInDirectory({ accountId, proof }: Login): Promise<boolean | 'unavailable'> {
    const isFirst = proof.method === 'mail' || proof.method === 'passkey' || proof.method === 'upstream'
    return directory && isFirst ? directory.isStillIn(accountId) : true
  }

  const lead = (ctx: Context, { uid }: Interaction, page: string) => {
    ctx.status = 303
    ctx.redirect(`/interaction/${uid}${page}`)
  }

  /** Finishes an interaction with a sign-in that is enough for it. */
  async function complete(ctx: Context, interaction: Interaction, person: Person): Promise<void> {
    const { accountId, epoch, proofs, remember = stays.isLasting(ctx, interaction.uid) } = person
    const nowSeconds = Math.floor(Date.now() / 1000)
    const counted = strongest(proofs)
    if (!counted) throw new Error('A sign-in without a proof would be finished.')
    await browserAccounts.turnTo(ctx, interaction, accountId)
    steps.forget(ctx, interaction)
    const login = {
      ...{ accountId, epoch, proofs, remember },
      acr: acrOf(proofs, { levels, requested: [], nowSeconds }),
      amr: methodReferences(counted),
      ts: madeAt(counted.proofs),
    }
    // The other prompts that ask who somebody is are answered too. The engine stores members that it does not know.
    await finish(ctx, interaction, { login, select_account: {}, create: {} } as unknown as InteractionResults)
  }

  /** Takes the next step. Returns `false` if that is to sign in from the beginning. */
  async function take(ctx: Context, interaction: Interaction, { person, decision }: Traveller): Promise<boolean> {
    if (decision.step === 'done') {
      await complete(ctx, interaction, person)
    } else if (decision.step === 'unattainable') {
      await finish(ctx, interaction, {
        error: 'unmet_authentication_requirements',
        error_description: 'the requested authentication could not be obtained',
      })
    } else {
      steps.keep(ctx, interaction, person)
      if (decision.step === 'sign-in') return false
      lead(ctx, interaction, decision.step === 'enrol' ? '/enrol' : '/second-factor')
    }
    return true
  }

  return {
    finish,

    async signIn(ctx, interaction, login) {
      const isStillIn = await isStillInDirectory(login)
      if (isStillIn !== true) {
        const error = isStillIn === 'unavailable' ? isStillIn : 'wrong-credentials'
        return refusedForms.leadBack(ctx, interaction.uid, { page: 'sign-in', error, email: '' })
      }
      const isTaken = await take(ctx, interaction, await steps.join(ctx, interaction, login))
      if (!isTaken) lead(ctx, interaction, '')
    },

    async goOn(ctx, interaction) {
      const traveller = await steps.find(ctx, interaction)
      return traveller !== undefined && take(ctx, interaction, traveller)
    },

    isLasting: (ctx, { uid }) => stays.isLasting(ctx, uid),

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
