import type { Context } from 'koa'
import { errors, type Interaction, type InteractionResults } from 'oidc-provider'
import { askerOf } from '../../oidc/clients/askers.ts'
import type { ConsentRequests } from '../../oidc/consent/request.ts'
import { signInEnded } from '../../oidc/prompts.ts'
import * as accounts from '../../stores/people/accounts.ts'
import type { SignInError } from '../../views/render.ts'
import type { InteractionDependencies } from './dependencies.ts'

export const longestEmail = 320 // RFC 5321 §4.5.3.1: 64 + 1 + 255

const busySeconds = 2 // the queue of passwords to check is a second long

/** What a sign-in page shows of the form that was refused before. */
export type SignInAgain = { error?: SignInError; email?: string; retryAfterSeconds?: number | undefined }

const statusOf = { incomplete: 400, 'wrong-credentials': 401, 'too-many-attempts': 429, busy: 503 } as const

export type InteractionPages = {
  showSignIn(ctx: Context, interaction: Interaction, again?: SignInAgain): Promise<void>
  showAccount(ctx: Context, interaction: Interaction, accountId: string): Promise<void>
  showConsent(ctx: Context, interaction: Interaction, error: 'invalid' | undefined): Promise<void>
}

/** The pages of an interaction. */
export function createInteractionPages({
  db,
  provider,
  render,
  csrf,
  consentRequests,
}: InteractionDependencies & { consentRequests: ConsentRequests }): InteractionPages {
  const hidden = ({ uid }: Interaction) => ({ uid, csrf: csrf.tokenFor(uid) })

  async function askerIn({ params }: Interaction) {
    const client = await provider.Client.find(String(params['client_id']))
    if (!client) throw new errors.SessionNotFound('the client is gone')
    return askerOf(client, String(params['redirect_uri'] ?? ''))
  }

  return {
    async showSignIn(ctx, interaction, { error, email, retryAfterSeconds } = {}) {
      const { prompt, session, params } = interaction
      const client = await askerIn(interaction)
      const isMismatch = prompt.reasons.some((reason) =>
        ['id_token_hint', 'claims_id_token_sub_value'].includes(reason),
      )
      const isAgain = prompt.name === 'login' && session !== undefined
      const known = isAgain && !isMismatch ? await accounts.findById(db, session.accountId) : undefined
      const hint = typeof params['login_hint'] === 'string' ? params['login_hint'].slice(0, longestEmail) : undefined
      if (error) {
        const wait = error === 'busy' ? busySeconds : retryAfterSeconds
        ctx.status = statusOf[error]
        if (wait) ctx.set('Retry-After', String(wait))
      }
      ctx.body = render('sign-in', {
        ...hidden(interaction),
        client,
        email: email ?? hint ?? known?.email ?? '',
        error,
        retryAfterSeconds,
        reason: prompt.reasons.includes(signInEnded)
          ? 'sign-in-ended'
          : isMismatch && isAgain
            ? 'account-mismatch'
            : isAgain && email === undefined
              ? 'reauthenticate'
              : undefined,
      })
    },

    async showAccount(ctx, interaction, accountId) {
      const account = await accounts.findById(db, accountId)
      ctx.body = render('continue-as', {
        ...hidden(interaction),
        client: await askerIn(interaction),
        account: { name: String(account?.profile['name'] ?? ''), email: account?.email ?? '' },
      })
    },

    async showConsent(ctx, interaction, error) {
      const { page } = await consentRequests.of(interaction)
      if (error) ctx.status = 400
      ctx.body = render('consent', { ...hidden(interaction), ...page, error })
    },
  }
}

/** A sign-in that was made and still does not satisfy what was asked for would be asked for without end. */
export function isUnattainable({ prompt, lastSubmission }: Interaction): boolean {
  const isAcr = prompt.reasons.every((reason) => reason === 'essential_acr' || reason === 'essential_acrs')
  return prompt.name === 'login' && isAcr && (lastSubmission as InteractionResults | undefined)?.login !== undefined
}
