import { execute } from '../../src/admin/execute.ts'
import { operations } from '../../src/admin/operations/index.ts'
import type { TestPostern } from './postern.ts'
import type { Page, Visitor } from './visitor.ts'

/** Runs an operation on upstream providers as an administrator does on the command line. */
export async function administerUpstream(
  postern: TestPostern,
  verb: string,
  input: Record<string, unknown>,
): Promise<Record<string, unknown>> {
  const operation = operations().find((one) => one.noun === 'upstream' && one.verb === verb)
  if (!operation) throw new Error(`There is no operation upstream ${verb}.`)
  const { postern: dependencies } = postern.server
  return (await execute(operation, dependencies, input, { actor: 'operator:test' })) as Record<string, unknown>
}

/** Lets people of one server sign in with their accounts at another. Returns the client that the first has there. */
export async function connectPosterns(
  postern: TestPostern,
  home: TestPostern,
  settings: Record<string, unknown> = {},
): Promise<void> {
  const client = await home.createClient({
    client_name: 'Downstream',
    redirect_uris: [`${postern.issuer}/upstream/home/callback`],
    scope: 'openid email profile',
    backchannel_logout_uri: `${postern.issuer}/upstream/home/backchannel-logout`,
    backchannel_logout_session_required: true,
  })
  await administerUpstream(postern, 'create', {
    id: 'home',
    preset: 'postern',
    issuer: home.issuer,
    client_id: client.client_id,
    display_name: 'Home',
    ...settings,
  })
  await administerUpstream(postern, 'set-secret', { id: 'home', secret: String(client['client_secret']) })
}

/** Presses “Continue with …” on a sign-in page. Returns the page that the browser leaves for. */
export const continueWith = (visitor: Visitor, page: Page, provider = 'home'): Promise<Page> =>
  visitor.submit(page, '/upstream', { provider })
