import type { Configuration, KoaContextWithOIDC } from 'oidc-provider'
import type { OtherAccount } from '../views/pages/continue-as.ts'
import type { DeviceCodeError } from '../views/pages/device-code.ts'
import type { Explanation } from '../views/pages/error.ts'
import type { Render } from '../views/render.ts'
import type { ShownClient } from '../views/shown-client.ts'
import type { ErrorCode } from '../views/texts/index.ts'
import { shownClient } from './clients/shown.ts'
import { isForPrograms } from './endpoints.ts'
import { keptUserAgent } from './parameters/bounds.ts'
import { recordRefusal } from './reasons/refusals.ts'
import { readerOf } from './request/reader.ts'
import { backTo, type FindStoppedSignIn } from './request/stopped-sign-ins.ts'
import { current } from './request/work.ts'
import { TooManyRequests } from './too-many-requests.ts'

type Features = NonNullable<Configuration['features']>

/** The pages that the engine leaves to us: signing out, entering a device code, and errors. */
export type Pages = {
  logout: Pick<NonNullable<Features['rpInitiatedLogout']>, 'logoutSource' | 'postLogoutSuccessSource'>
  device: Pick<
    NonNullable<Features['deviceFlow']>,
    'userCodeInputSource' | 'userCodeConfirmSource' | 'successSource' | 'deviceInfo'
  >
  renderError: NonNullable<Configuration['renderError']>
}

const deviceErrors: Record<string, DeviceCodeError> = {
  NoCodeError: 'no-code',
  NotFoundError: 'not-found',
  ExpiredError: 'expired',
  AlreadyUsedError: 'used',
  TooManyRequests: 'too-many',
}

export type PagesDependencies = {
  render: Render
  findStoppedSignIn: FindStoppedSignIn
  /** Explains why a request was refused, where the page may say so: on a developer's own machine. */
  explain: ((ctx: KoaContextWithOIDC) => Promise<Explanation> | undefined) | undefined
}

export function createPages({ render, findStoppedSignIn, explain }: PagesDependencies): Pages {
  // The engine's token against forged forms. Our forms send it in the engine's own field, `xsrf`.
  const xsrf = (ctx: KoaContextWithOIDC) => String((ctx.oidc.session as { state?: { secret?: string } })?.state?.secret)

  return {
    logout: {
      async logoutSource(ctx) {
        const { client, session } = ctx.oidc
        const account = session?.accountId ? current()?.reads.accounts.get(session.accountId) : undefined
        const cannotReturn = current()?.reads.cannotReturn ?? false
        Object.assign(session?.state ?? {}, { cannotReturn })
        ctx.body = render(readerOf(ctx), 'sign-out', {
          action: ctx.oidc.urlFor('end_session_confirm'),
          xsrf: xsrf(ctx),
          client: client && shownClient(client, readerOf(ctx).language),
          account: account && { name: String(account.profile['name'] ?? account.email), email: account.email },
          cannotReturn,
        })
      },
      async postLogoutSuccessSource(ctx) {
        const { client, provider } = ctx.oidc
        const { accountId } = await provider.Session.get(ctx)
        ctx.body = render(readerOf(ctx), 'signed-out', {
          isSignedIn: accountId !== undefined,
          cannotReturn: ctx.query['returned'] === 'no',
          others: accountId === undefined ? waitingIn(ctx) : [],
          back: client && backTo([client.clientUri], shownClient(client, readerOf(ctx).language)),
        })
      },
    },

    device: {
      deviceInfo: (ctx) => ({ ip: ctx.ip, ua: keptUserAgent(ctx.get('user-agent')) }),
      async userCodeInputSource(ctx, _form, _out, error) {
        if (error?.name === 'AbortedError') {
          ctx.body = render(readerOf(ctx), 'device-done', { outcome: 'denied', client: shownClientIn(ctx) })
          return
        }
        if (error) recordRefusal(ctx, error)
        const isInputError = error && error.name in deviceErrors
        if (isInputError) ctx.status = error instanceof TooManyRequests ? error.statusCode : 400
        if (error instanceof TooManyRequests) ctx.set('Retry-After', String(error.retryAfterSeconds))
        ctx.body = render(readerOf(ctx), 'device-code', {
          action: ctx.oidc.urlFor('code_verification'),
          xsrf: xsrf(ctx),
          userCode: (error as { userCode?: string } | undefined)?.userCode,
          error: error && (deviceErrors[error.name] ?? 'other'),
        })
      },
      async userCodeConfirmSource(ctx, _form, client, device, userCode) {
        const { ip, ua } = device as { ip?: string; ua?: string }
        ctx.body = render(readerOf(ctx), 'device-confirm', {
          action: ctx.oidc.urlFor('code_verification'),
          xsrf: xsrf(ctx),
          userCode,
          client: shownClient(client, readerOf(ctx).language), // a device has no address to return to
          device: { ip, userAgent: ua },
        })
      },
      async successSource(ctx) {
        ctx.body = render(readerOf(ctx), 'device-done', { outcome: 'approved', client: shownClientIn(ctx) })
      },
    },

    async renderError(ctx, out, error) {
      recordRefusal(ctx, error)
      if (isForPrograms(ctx.path)) {
        ctx.body = out // the engine goes by `Accept`, where some libraries always name HTML first (RFC 6749 §5.2)
        return
      }
      const uid = (ctx['params'] as { uid?: string } | undefined)?.uid
      const stopped =
        error.name === 'SessionNotFound' && uid ? await findStoppedSignIn(uid).catch(() => undefined) : undefined
      const code = stopped?.page ?? codeOf(error)
      ctx.type = 'html'
      ctx.body = render(readerOf(ctx), 'error', {
        code,
        reference: current()?.requestId,
        developer: code === 'protocol' ? await explain?.(ctx) : undefined,
        error: out.error,
        errorDescription: out.error_description,
        back: stopped?.back,
      })
    },
  }
}

/** Returns the accounts that are still signed in at this browser. http/ finds them: they are in a cookie of ours. */
function waitingIn({ state }: KoaContextWithOIDC): OtherAccount[] {
  const others = (state as { otherAccounts?: OtherAccount[] }).otherAccounts ?? []
  return others.filter(({ isSignedIn }) => isSignedIn)
}

function shownClientIn(ctx: KoaContextWithOIDC): ShownClient | undefined {
  const { client } = ctx.oidc
  return client && shownClient(client, readerOf(ctx).language)
}

function codeOf(error: Error): ErrorCode {
  const { statusCode = 500, name } = error as { statusCode?: number; name: string }
  if (name === 'SessionNotFound') return 'expired'
  if (statusCode === 503) return 'unavailable'
  return statusCode >= 500 ? 'server-error' : 'protocol'
}
