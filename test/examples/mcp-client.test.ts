import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { freePort, startPostern, type TestPostern } from '../support/postern.ts'
import { createToken } from '../support/registration.ts'
import { createVisitor, type Page, type Visitor } from '../support/visitor.ts'
import { type Example, run, stopAll } from './example.ts'
import { openTo, startMcpServer } from './mcp-server.ts'

let open: TestPostern
let closed: TestPostern
/** The addresses of two MCP servers: one whose provider lets anybody register, and one whose provider does not. */
let openServer: string
let closedServer: string
let people = 0

beforeAll(async () => {
  open = await startPostern({ OPEN_REGISTRATION: 'true' })
  openServer = await startMcpServer(open)
  await openTo(open, 'open', openServer)
  closed = await startPostern()
  closedServer = await startMcpServer(closed)
})
afterAll(async () => {
  await stopAll()
  await open?.stop()
  await closed?.stop()
})

/** Runs the example, and opens the printed address in a browser, up to the consent page. */
async function begin(postern: TestPostern, settings: Record<string, string>, words: string[] = []) {
  const example = run('examples/mcp-client/main.ts', settings, words)
  const [, address = ''] = await example.prints(/Open (\S+)/)
  const email = `person-${++people}@example.com`
  await postern.createAccount(email)
  const visitor = createVisitor(postern.issuer)
  return { example, visitor, page: await visitor.signIn(await visitor.get(address), email) }
}

/** Allows everything, and returns the output. */
async function use(...run: Parameters<typeof begin>): Promise<string> {
  const { example, visitor, page } = await begin(...run)
  return end(example, visitor.allow(page))
}

/** Lets the browser return to the example, and waits for it to end. */
async function end(example: Example, returning: Promise<Page>): Promise<string> {
  expect(await (await fetch((await returning).url)).text()).toBe('You can close this window.')
  await example.ended
  return example
    .output()
    .replace(/^Open .*/, '')
    .trim()
}

const deny = (visitor: Visitor, page: Page) => visitor.submit(page, '/consent', { decision: 'deny' })

describe('an MCP client on the command line', () => {
  test('registers itself, waits for the browser, and uses a tool', async () => {
    expect(await use(open, { RESOURCE: openServer })).toBe('No notes.')
    expect(await use(open, { RESOURCE: openServer }, ['Buy', 'milk'])).toBe('You have 1 notes.')
  })

  test('registers with an initial access token where registration is closed (RFC 7591 §3)', async () => {
    const refused = run('examples/mcp-client/main.ts', { RESOURCE: closedServer })
    expect(await refused.ended).toMatchObject({ code: 1 })
    expect(refused.output()).toContain('no access token')
    const INITIAL_ACCESS_TOKEN = await createToken(closed, { uses: 1 })
    expect(await use(closed, { RESOURCE: closedServer, INITIAL_ACCESS_TOKEN })).toBe('No notes.')
  })

  test('listens on any port of this computer when an administrator registered it (RFC 8252 §7.3)', async () => {
    const { client_id } = await closed.createClient({
      redirect_uris: ['http://127.0.0.1/callback'],
      application_type: 'native',
      token_endpoint_auth_method: 'none',
    })
    expect(await use(closed, { RESOURCE: closedServer, CLIENT_ID: client_id })).toBe('No notes.')
  })

  test('reports that the person denied access', async () => {
    const { example, visitor, page } = await begin(open, { RESOURCE: openServer })
    expect(await end(example, deny(visitor, page))).toMatch(/^It was not allowed: access_denied\./)
    expect(example.child.exitCode).toBe(1)
  })

  test.each([
    ['from another provider (RFC 9207 §2.4)', 'iss', 'https://other.example', 'from another provider'],
    ['to another request (RFC 6749 §10.12)', 'state', 'other', 'the answer to another request'],
  ])('refuses an answer %s', async (_title, parameter, value, says) => {
    const { example, visitor, page } = await begin(open, { RESOURCE: openServer })
    const answer = await visitor.allow(page)
    const url = new URL(answer.url)
    expect(url.searchParams.has(parameter)).toBe(true)
    url.searchParams.set(parameter, value)
    expect(await end(example, Promise.resolve({ ...answer, url: url.href }))).toContain(says)
    expect(example.child.exitCode).toBe(1)
  })

  test('reports that nothing answers', async () => {
    const RESOURCE = `http://localhost:${await freePort()}/mcp`
    const example = run('examples/mcp-client/main.ts', { RESOURCE })
    expect(await example.ended).toMatchObject({ code: 1 })
    expect(example.output().trim()).toBe(`Nothing answers at ${RESOURCE} or its provider. Are they running?`)
  })
})
