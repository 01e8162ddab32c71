import type Provider from 'oidc-provider'
import { z } from 'zod'
import type { Acting } from '../../accounts/acting.ts'
import type { DirectoryAccounts } from '../../accounts/directory-sign-in.ts'
import * as accountSessions from '../../accounts/sessions.ts'
import type { AllowedWays } from '../../accounts/ways-in.ts'
import { deviceOf } from '../../authentication/devices.ts'
import type { RelyingParty } from '../../authentication/passkeys/relying-party.ts'
import type { Db } from '../../database/schema.ts'
import { readerOf } from '../../oidc/request/reader.ts'
import * as accounts from '../../stores/people/accounts.ts'
import * as passkeys from '../../stores/people/passkeys.ts'
import * as sessions from '../../stores/protocol/sessions.ts'
import type { AccountNotice } from '../../views/pages/account.ts'
import type { AccountSecurityPage } from '../../views/pages/account-security.ts'
import type { Render } from '../../views/render.ts'
import { byPerson } from '../by-person.ts'
import { notifyApps } from '../engine/session-end.ts'
import type { Notes } from '../notes.ts'
import { type FrameOf, leadTo } from './frame.ts'
import { type AccountHandler, accountForm } from './handler.ts'
import type { IdentityLink } from './identity-link.ts'
import { shown } from './passkey-edit.ts'
import type { SecondStepPages } from './second-step.ts'

export const sessionForm = accountForm.extend({ session: z.string().max(200) })

const path = '/account/security'

export type SessionEnd = {
  list: AccountHandler<unknown>
  submit: AccountHandler<z.output<typeof sessionForm>>
  submitOthers: AccountHandler<unknown>
}

/** Creates the page about a person's sign-ins, and the handlers that end one or all others. */
export function sessionEnd({
  db,
  act,
  provider,
  render,
  frameOf,
  notices,
  relyingParty: rp,
  allowedWays,
  directory,
  linked,
  second,
}: {
  db: Db
  act: Acting
  provider: Provider
  render: Render
  frameOf: FrameOf
  notices: Notes<AccountNotice>
  relyingParty: RelyingParty | undefined
  directory: DirectoryAccounts | undefined
  allowedWays: AllowedWays
  linked: IdentityLink
  second: SecondStepPages
}): SessionEnd {
  return {
    async list(ctx, person) {
      const { account, sessionUid } = person
      const live = await sessions.listByAccount(db, account.id)
      const isThis = ({ uid }: { uid: string }) => uid === sessionUid

      ctx.body = render(readerOf(ctx), 'account-security', {
        ...frameOf(ctx, person, path),
        isVerified: account.emailVerified,
        ...(await factorsOf(account)),
        secondStep: await second.stateOf(account),
        ...(await linked.listOf(account.id)),
        sessions: [...live.filter(isThis), ...live.filter((session) => !isThis(session))].map((session) => ({
          ...deviceOf(session.userAgent),
          uid: session.uid,
          isThis: isThis(session),
          signedInAt: session.createdAt,
          firstAddress: session.firstAddress,
          lastSeenAt: session.lastSeenAt,
          lastAddress: session.lastAddress,
        })),
      })
    },

    async submit(ctx, { account }, { session: uid }) {
      const ending = { accountId: account.id, uid }
      const apps = await act(byPerson(ctx), (context) => accountSessions.end(context, ending))

      if (apps === 'no-session') return leadTo(ctx, notices, path, { code: 'session-gone' })
      await notifyApps(ctx, { provider, accountId: account.id, apps })
      leadTo(ctx, notices, path, { code: 'session-ended' })
    },

    async submitOthers(ctx, { account, sessionUid }) {
      const ending = { accountId: account.id, exceptUid: sessionUid }
      const apps = await act(byPerson(ctx), (context) => accountSessions.end(context, ending))

      if (apps !== 'no-session') await notifyApps(ctx, { provider, accountId: account.id, apps })
      leadTo(ctx, notices, path, { code: 'sessions-ended' })
    },
  }

  /** Returns the ways in which a person signs in, and what their authenticators should know about that. */
  async function factorsOf(account: accounts.Account): Promise<Pick<AccountSecurityPage, 'password' | 'passkeys'>> {
    const { id, email, profile } = account
    const hasPassword = allowedWays.passwords && (await accounts.hasPassword(db, id))
    const isElsewhere = hasPassword && (await directory?.has(id))
    const password = allowedWays.passwords ? (isElsewhere ? 'elsewhere' : hasPassword ? 'set' : 'none') : undefined
    if (!rp) return { password, passkeys: undefined }
    const list = await passkeys.listByAccount(db, id)
    const userId = list[0]?.userHandle.toString('base64url')
    const ids = list.map(({ credentialId }) => credentialId.toString('base64url'))
    const displayName = String(profile['name'] ?? '') || email
    const signals =
      userId === undefined
        ? []
        : [
            { name: 'signalAllAcceptedCredentials', value: { rpId: rp.id, userId, allAcceptedCredentialIds: ids } },
            { name: 'signalCurrentUserDetails', value: { rpId: rp.id, userId, name: email, displayName } },
          ]
    return { password, passkeys: { list: list.map(shown), signals } }
  }
}
