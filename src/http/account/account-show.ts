import type { EditableClaim } from '../../config/settings/account-pages.ts'
import type { Db } from '../../database/schema.ts'
import { readerOf } from '../../oidc/request/reader.ts'
import * as sessions from '../../stores/protocol/sessions.ts'
import type { Render } from '../../views/render.ts'
import type { AccountApps } from './apps.ts'
import { detailsOf } from './details.ts'
import type { FrameOf } from './frame.ts'
import type { AccountHandler } from './handler.ts'

/** Shows the first page about a person's own account. */
export function accountShow({
  db,
  render,
  frameOf,
  apps,
  editableClaims,
}: {
  db: Db
  render: Render
  frameOf: FrameOf
  apps: AccountApps
  editableClaims: readonly EditableClaim[]
}): AccountHandler<unknown> {
  return async (ctx, person) => {
    const { account } = person
    const { language } = readerOf(ctx)
    const [live, found] = await Promise.all([sessions.listByAccount(db, account.id), apps.of(account.id, language)])

    ctx.body = render(readerOf(ctx), 'account', {
      ...frameOf(ctx, person, '/account'),
      isVerified: account.emailVerified,
      details: detailsOf(account.profile),
      canEdit: editableClaims.length > 0,
      sessions: live.length,
      apps: found.length,
    })
  }
}
