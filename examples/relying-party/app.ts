import { createServer } from 'node:http'
import Router from '@koa/router'
import Koa, { type Context, type Middleware } from 'koa'
import { koaBody } from 'koa-body'
import { errorPages, onlyFrom, securityHeaders } from './middleware.ts'
import { messagePage, signedInPage, startPage, stylesheet } from './pages.ts'
import { discover, type Settings, type User } from './provider.ts'
import { createSessions, type Session } from './sessions.ts'

const mostTabs = 10 // sign-ins that one browser can have under way

export type Running = { stop(): void }

/** Starts an app that people sign in to with an OpenID Provider, and that calls an API on their behalf. */
export async function start({ host, port, ...settings }: Settings & { host: string; port: number }): Promise<Running> {
  const { baseUrl, apiUrl } = settings
  const isSecure = baseUrl.startsWith('https:')
  const provider = await discover(settings)
  const sessions = createSessions({ isSecure })
  const fromOwnPage = onlyFrom(baseUrl)
  const router = new Router()

  router.get('/', (ctx) => {
    const session = sessions.find(ctx)
    ctx.body = session?.user ? signedInPage(session.user, session.outcome, apiUrl) : startPage()
    if (session) session.outcome = undefined
  })

  router.get('/login', async (ctx) => {
    const session = sessions.find(ctx) ?? sessions.begin(ctx)
    const { url, attempt } = await provider.begin()
    if (session.attempts.size >= mostTabs) session.attempts.clear()
    session.attempts.set(attempt.state, attempt)
    ctx.redirect(url)
  })

  router.get('/callback', async (ctx) => {
    const session = sessions.find(ctx)
    const attempt = session?.attempts.get(String(ctx.query['state']))
    if (!session || !attempt) return ctx.throw(400, 'This sign-in began in another browser, or has ended.')
    session.attempts.delete(attempt.state)
    const user = await provider.complete(new URL(ctx.url, baseUrl), attempt)
    sessions.begin(ctx, { user, attempts: session.attempts })
    ctx.redirect('/')
  })

  router.post('/refresh', fromOwnPage, (ctx) =>
    withTokens(ctx, undefined, async (session, { claims }) => {
      session.outcome = { title: 'You have new tokens', isGood: true, details: { claims: Object.keys(claims) } }
    }),
  )

  const callApi: Middleware = (ctx) =>
    withTokens(ctx, apiUrl, async (session, _user, accessToken) => {
      const response = await fetch(`${apiUrl}/protected`, { headers: { authorization: `Bearer ${accessToken}` } })
      const title = `The API answered ${response.status}`
      session.outcome = { title, isGood: response.ok, details: await response.json() }
    })
  if (apiUrl) router.post('/call-api', fromOwnPage, callApi)

  router.post('/logout', fromOwnPage, async (ctx) => {
    const session = sessions.find(ctx)
    sessions.end(ctx)
    await session?.queue
    ctx.status = 303
    ctx.redirect(session?.user ? await provider.signOut(session.user) : '/')
  })

  router.get('/signed-out', (ctx) => {
    ctx.body = messagePage({
      title: 'You are signed out',
      text: 'You left this app, and the provider too if you chose that there.',
    })
  })

  // The provider reports, without the browser, that a session has ended (OpenID Connect Back-Channel Logout 1.0 §2.5).
  router.post('/backchannel-logout', koaBody({ json: false, text: false, formLimit: '64kb' }), async (ctx) => {
    ctx.set('Cache-Control', 'no-store')
    try {
      const { sid, sub } = await provider.readLogoutToken((ctx.request.body as { logout_token?: unknown }).logout_token)
      sessions.endWhere((user) => (sid === undefined ? user.sub === sub : user.sid === sid))
      ctx.status = 200
    } catch (error) {
      ctx.status = 400
      ctx.body = { error: 'invalid_request', error_description: error instanceof Error ? error.message : '' }
    }
  })

  router.get('/style.css', (ctx) => {
    ctx.type = 'css'
    ctx.body = stylesheet
  })

  /** Gets new tokens for the signed-in person, does some work with them, and returns to the page. */
  async function withTokens(
    ctx: Context,
    resource: string | undefined,
    work: (session: Session, user: User, accessToken: string) => Promise<void>,
  ): Promise<void> {
    const session = sessions.find(ctx)
    const turn = session?.queue.then(async () => {
      if (!session.user) return
      if (!session.user.refreshToken)
        ctx.throw(400, 'You did not allow access while you are away. Sign in again to allow it.')
      const { user, accessToken } = await provider.refresh(session.user, resource)
      session.user = user
      await work(session, user, accessToken)
    })
    if (session && turn) session.queue = turn.catch(() => undefined)
    try {
      await turn
    } catch (error) {
      if ((error as { error?: string }).error === 'invalid_grant') sessions.end(ctx) // revoked or expired
      throw error
    }
    ctx.status = 303
    ctx.redirect('/')
  }

  const app = new Koa({ proxy: isSecure }) // https ends at a proxy in front
  app.use(securityHeaders).use(errorPages).use(router.routes())
  const server = createServer(app.callback())
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, host, resolve))
  return {
    stop() {
      server.close()
      server.closeAllConnections()
    },
  }
}
