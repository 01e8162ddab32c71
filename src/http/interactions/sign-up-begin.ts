import type { Context } from 'koa'
import type Provider from 'oidc-provider'
import type { Interaction } from 'oidc-provider'
import { z } from 'zod'
import type { Acting } from '../../accounts/acting.ts'
import type { DirectoryAccounts } from '../../accounts/directory-sign-in.ts'
import { emailAddress } from '../../accounts/email-addresses.ts'
import type { AcceptPassword } from '../../accounts/new-passwords.ts'
import { visibleOnly } from '../../accounts/own-claims.ts'
import { checkPassword } from '../../accounts/password-rules.ts'
import { isAllowedAddress, request, type SignUpRules } from '../../accounts/sign-up.ts'
import type { MailLimits } from '../../authentication/mail-limits.ts'
import type { RelyingParty } from '../../authentication/passkeys/relying-party.ts'
import { type ProofOfWork, patienceSeconds } from '../../authentication/proof-of-work.ts'
import type { SignUpLimits } from '../../authentication/sign-up-limits.ts'
import type { Brand } from '../../brand/index.ts'
import { readerOf } from '../../oidc/request/reader.ts'
import { canonicalEmail } from '../../stores/people/accounts.ts'
import type { SignInOffers } from '../../views/pages/sign-in.ts'
import type { SignUpError } from '../../views/pages/sign-up.ts'
import type { Render } from '../../views/render.ts'
import { byPerson } from '../by-person.ts'
import { askerOf } from './asker.ts'
import { type Handler, type Interactions, ownForm } from './interactions.ts'
import type { Kept } from './kept.ts'
import { longestEmail, type RefusedForms } from './refused-forms.ts'
import { shownClientOf } from './shown-client.ts'

const longestName = 200

export const signUpForm = ownForm.extend({
  email: z.string().default(''),
  name: z.string().max(longestName).default(''),
  password: z.string().default(''),
  /** `passkey` for a person who wants no password. */
  way: z.string().max(20).default(''),
  terms: z.string().default(''),
  challenge: z.string().max(200).default(''),
  answer: z.string().max(40).default(''),
})

/** The settings and tools of signing up. */
export type SignUp = {
  rules: SignUpRules
  passwordRules: Parameters<typeof checkPassword>[2]
  termsVersion: string | undefined
  brand: () => Brand
  limits: SignUpLimits
  proofs: ProofOfWork
}

export type SignUpBegin = {
  show(ctx: Context, interaction: Interaction): Promise<void>
  submit: Handler<z.output<typeof signUpForm>>
}

/** Creates the page where a person requests an account, and the handler of its form. */
export function signUpBegin({
  provider,
  render,
  act,
  interactions,
  refusedForms,
  typedAddresses,
  mailLimits,
  acceptPassword,
  signUp,
  directory,
  relyingParty,
  offers,
}: {
  provider: Provider
  render: Render
  act: Acting
  interactions: Interactions
  refusedForms: RefusedForms
  typedAddresses: Kept<string>
  mailLimits: MailLimits
  acceptPassword: AcceptPassword
  signUp: SignUp
  relyingParty: RelyingParty | undefined
  offers: SignInOffers
  directory: DirectoryAccounts | undefined
}): SignUpBegin {
  const { rules, passwordRules, termsVersion, brand, limits, proofs } = signUp

  return {
    async show(ctx, interaction) {
      const { error, email, name = '' } = refusedForms.takeOf(ctx, interaction.uid, 'sign-up') ?? {}
      const hint = interaction.params['login_hint']
      if (error) ctx.status = error === 'too-many-attempts' ? 429 : error === 'busy' ? 503 : 400
      const reader = readerOf(ctx)
      ctx.body = render(reader, 'sign-up', {
        ...interactions.hiddenFields(interaction),
        client: await shownClientOf(provider, interaction, reader),
        email: email ?? (typeof hint === 'string' ? hint.slice(0, longestEmail) : ''),
        name,
        minLength: passwordRules.minLength,
        termsUrl: termsVersion === undefined ? undefined : termsLink(),
        challenge: (await limits.needsProof(ctx.ip)) ? proofs.challengeFor(interaction.uid) : undefined,
        patienceSeconds,
        passwords: offers.passwords,
        offersPasskey: relyingParty !== undefined,
        error,
      })
    },

    async submit(ctx, interaction, form) {
      const [email, name] = [form.email.trim(), visibleOnly(form.name).normalize('NFC').trim()]
      const refuse = (error: SignUpError) =>
        refusedForms.leadBack(ctx, interaction.uid, { page: 'sign-up', error, email, name })
      const hasPasskey = form.way === 'passkey' && relyingParty !== undefined
      const flaw = await flawOf(form, { hasPasskey })
      if (flaw) return refuse(flaw)
      const { uid } = interaction
      // Counted before the proof is asked for, so that forms sent at once do not all pass for the first.
      if ((await limits.count(ctx.ip, { isProven: false })) === 'too-many') {
        const { challenge, answer } = form
        if (!(await proofs.accept(uid, { challenge, answer, address: ctx.ip }))) return refuse('prove')
        if ((await limits.count(ctx.ip, { isProven: true })) === 'too-many') return refuse('too-many-attempts')
      }

      // All of this is the same for every address. The delivery of the mail finds out whether one has an account.
      const profile = { ...(name && { name }) }
      const accepted = hasPasskey ? { hash: undefined } : await acceptPassword(form.password, { email, profile })
      if ('flaw' in accepted) return refuse(accepted.flaw)
      const { language } = readerOf(ctx)
      const account = {
        profile: { ...profile, locale: language },
        passwordHash: accepted.hash,
        termsVersion,
        termsAcceptedAt: termsVersion === undefined ? undefined : new Date().toISOString(),
      }
      const browserHash = askerOf(interaction).toString('base64url')
      if (await mailLimits({ kind: 'code', email: canonicalEmail(email), address: ctx.ip })) {
        await act(byPerson(ctx), async (context) =>
          request(context, { email, language, browserHash, interaction: uid, account }),
        )
      }
      typedAddresses.keep(ctx, uid, email)
      ctx.status = 303
      ctx.redirect(`/interaction/${uid}/sign-up/code`)
    },
  }

  /** Returns why a form is rejected, by what is in it alone. */
  async function flawOf(
    { email, name, password, terms }: z.output<typeof signUpForm>,
    { hasPasskey }: { hasPasskey: boolean },
  ): Promise<SignUpError | undefined> {
    if (!email.trim() || (!hasPasskey && !(password && offers.passwords))) return 'incomplete'
    if (!emailAddress.safeParse(email.trim()).success) return 'email'
    if (directory?.isAuthority(email)) return 'directory'
    if (!isAllowedAddress(email, rules)) return 'domain'
    if (termsVersion !== undefined && terms !== 'accepted') return 'terms'
    return hasPasskey ? undefined : checkPassword(password, { email, name }, passwordRules)
  }

  function termsLink(): string | undefined {
    return brand().links.find(({ name }) => name === 'terms')?.href
  }
}
