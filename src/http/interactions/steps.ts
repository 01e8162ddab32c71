import type { Context } from 'koa'
import type Provider from 'oidc-provider'
import type { Interaction } from 'oidc-provider'
import type { Level } from '../../authentication/levels.ts'
import { type Proof, withProof } from '../../authentication/proofs.ts'
import {
  current,
  type Decision,
  type Demand,
  decide,
  type SecondFactorRules,
} from '../../authentication/second-factor-policy.ts'
import type { Db } from '../../database/schema.ts'
import { demandOf } from '../../oidc/authentication/demands.ts'
import { proofsOf } from '../../oidc/authentication/session-proofs.ts'
import { type FindFactors, tooWeak } from '../../oidc/authentication/step-up.ts'
import * as accounts from '../../stores/people/accounts.ts'
import { createKept } from './kept.ts'
import type { RememberedDevices } from './remembered-devices.ts'

/** Someone who has proven who they are, but perhaps not enough. Nobody is signed in yet. */
export type Person = { accountId: string; epoch: number; proofs: Proof[]; remember?: boolean | undefined }

/** Someone who is on the way, with their account and the next step. */
export type Traveller = { person: Person; account: accounts.Account; decision: Decision }

export type Steps = {
  /** Adds a proof to those that this interaction and the session of the same account have. */
  join(ctx: Context, interaction: Interaction, login: Omit<Person, 'proofs'> & { proof: Proof }): Promise<Traveller>
  /** Returns the person of an interaction who has more to prove; `undefined` if nobody has begun. */
  find(ctx: Context, interaction: Interaction): Promise<Traveller | undefined>
  /** Keeps what a person has proven for the next page of the interaction. */
  keep(ctx: Context, interaction: Interaction, person: Person): void
  /** Forgets it: the person signs in with another account. */
  forget(ctx: Context, interaction: Interaction): void
}

const keptSeconds = 900

// Where one of these is among the reasons, the person of the session may have to prove something, but not everything.
const partial = [tooWeak, 'essential_acr', 'essential_acrs', 'max_age']

/** Decides what a sign-in has to prove besides. The proofs of an unfinished sign-in stay in this browser, for one interaction. */
export function createSteps({
  db,
  provider,
  levels,
  rules,
  findFactors,
  devices,
  isSecure,
}: {
  db: Db
  provider: Provider
  levels: readonly Level[]
  rules: SecondFactorRules
  findFactors: FindFactors
  devices: RememberedDevices
  isSecure: boolean
}): Steps {
  const kept = createKept<Person>('proofs', { isSecure, lifetimeSeconds: keptSeconds })

  async function travellerOf(interaction: Interaction, person: Person): Promise<Traveller | undefined> {
    const account = await accounts.findById(db, person.accountId)
    if (!account || account.isDisabled || account.epoch !== person.epoch) return undefined
    const client = await provider.Client.find(String(interaction.params['client_id']))
    const nowSeconds = Math.floor(Date.now() / 1000)
    const since = sinceOf(interaction)
    // Older proofs end with this. Otherwise a token would state a class that this sign-in has not reached.
    const proofs = current(person.proofs, { since, nowSeconds })
    const decision = decide({
      proofs,
      demand: { ...demandOf(interaction.params, client, levels), since },
      rules: { ...rules, countsMail: rules.countsMail && account.emailVerified },
      factors: await findFactors(account.id),
      groups: account.groups,
      nowSeconds,
    })
    return { person: { ...person, proofs }, account, decision }
  }

  /** Returns the person of the interaction's session, with what they have proven there. */
  async function ofSession({ session, prompt }: Interaction): Promise<Person | undefined> {
    const isPartial = prompt.name === 'login' && prompt.reasons.every((reason) => partial.includes(reason))
    if (!session?.uid || !isPartial) return undefined
    const found = await provider.Session.findByUid(session.uid)
    const account = await accounts.findById(db, session.accountId)
    if (found?.accountId !== session.accountId || !account) return undefined
    return { accountId: account.id, epoch: account.epoch, proofs: proofsOf(found as Parameters<typeof proofsOf>[0]) }
  }

  return {
    async join(ctx, interaction, { proof, ...login }) {
      const known = [kept.read(ctx, interaction.uid), await ofSession(interaction)]
      const same = known.find((one) => one?.accountId === login.accountId && one.epoch === login.epoch)
      const remembered = await devices.proofOf(ctx, login)
      const before = remembered ? withProof(same?.proofs ?? [], remembered) : (same?.proofs ?? [])
      const person = { ...same, ...login, proofs: withProof(before, proof) }
      const traveller = await travellerOf(interaction, person)
      // Something has ended the account's sign-ins. The engine finds that out too, and begins again.
      return traveller ?? ctx.throw(409, 'The sign-in has ended. Begin again.')
    },

    async find(ctx, interaction) {
      const person = kept.read(ctx, interaction.uid) ?? (await ofSession(interaction))
      return person && travellerOf(interaction, person)
    },

    keep: (ctx, { uid }, person) => kept.keep(ctx, uid, person),
    forget: (ctx, { uid }) => kept.forget(ctx, uid),
  }
}

/** Returns the time before which proofs do not count for a request, in seconds since 1970. */
function sinceOf({ params, prompt, iat }: Interaction): Demand['since'] {
  const began = Number(iat ?? 0)
  if (prompt.reasons.includes('login_prompt')) return began
  const maxAge = params['max_age']
  return maxAge === undefined ? 0 : began - Number(maxAge)
}
