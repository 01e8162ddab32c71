import type { Context } from 'koa'
import { z } from 'zod'
import { revokeGrant } from '../../accounts/access.ts'
import type { Acting } from '../../accounts/acting.ts'
import { readerOf } from '../../oidc/request/reader.ts'
import type { AccountNotice } from '../../views/pages/account.ts'
import type { Render } from '../../views/render.ts'
import { knownAs } from '../../views/shown-client.ts'
import { byPerson } from '../by-person.ts'
import type { Notes } from '../notes.ts'
import type { AccountApps } from './apps.ts'
import { type FrameOf, leadTo } from './frame.ts'
import { type AccountHandler, accountForm } from './handler.ts'

export const accessForm = accountForm.extend({ app: z.string().max(200) })

const path = '/account/apps'

export type AccessRemove = {
  list: AccountHandler<unknown>
  confirm: AccountHandler<unknown>
  submit: AccountHandler<z.output<typeof accessForm>>
}

/** Creates the page with a person's apps, the question before one loses its access, and the handler of its form. */
export function accessRemove({
  act,
  render,
  frameOf,
  notices,
  apps,
}: {
  act: Acting
  render: Render
  frameOf: FrameOf
  notices: Notes<AccountNotice>
  apps: AccountApps
}): AccessRemove {
  const find = async (ctx: Context, accountId: string, grantId: unknown) =>
    (await apps.of(accountId, readerOf(ctx).language)).find((app) => app.grantId === grantId)

  return {
    async list(ctx, person) {
      const found = await apps.of(person.account.id, readerOf(ctx).language)
      ctx.body = render(readerOf(ctx), 'account-apps', { ...frameOf(ctx, person, path), apps: found })
    },

    async confirm(ctx, person) {
      const app = await find(ctx, person.account.id, ctx.query['app'])
      if (!app) return leadTo(ctx, notices, path, { code: 'access-gone' })
      ctx.body = render(readerOf(ctx), 'account-app-remove', { ...frameOf(ctx, person, path), app })
    },

    async submit(ctx, { account }, { app: grantId }) {
      const app = await find(ctx, account.id, grantId)

      const isRevoked = app && (await act(byPerson(ctx), (context) => revokeGrant(context, grantId, account.id)))

      if (isRevoked)
        leadTo(ctx, notices, path, { code: 'access-removed', app: knownAs(app.client, readerOf(ctx).language) })
      else leadTo(ctx, notices, path, { code: 'access-gone' })
    },
  }
}
