import { readerOf } from '../../oidc/request/reader.ts'
import type { Render } from '../../views/render.ts'
import type { Csrf } from '../csrf.ts'
import type { AccountHandler } from './handler.ts'

/** Shows the first page about a person's own account. */
export function accountShow({ render, csrf }: { render: Render; csrf: Csrf }): AccountHandler<unknown> {
  return async (ctx, { account, sessionUid }) => {
    ctx.body = render(readerOf(ctx), 'account', {
      csrf: csrf.tokenOfSession(sessionUid),
      account: { name: String(account.profile['name'] ?? ''), email: account.email },
    })
  }
}
