import { UnauthorizedError } from '@modelcontextprotocol/sdk/client/auth.js'
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { decodeJwt, type JWTPayload } from 'jose'
import { createProvider, type Options, type Provider } from '../../examples/mcp-client/provider.ts'
import { createVisitor, type Page, tickboxes } from '../support/visitor.ts'

/** A person who uses an MCP client, made with the public SDK, and a browser. */
export type Person = {
  provider: Provider
  /** The addresses that the SDK sent the browser to, the scopes on its consent pages, and those that were ticked. */
  asked: URL[]
  consents: string[][]
  ticked: string[][]
  /** The addresses that the browser came back with. */
  answers: URL[]
  /** Every request of the client, as method and address. */
  requests: string[]
  connect(): Promise<void>
  /** Uses a tool, and returns its answer. */
  use(tool: string, input?: Record<string, unknown>): Promise<string>
  /** Returns the claims of the access token. */
  token(): Promise<JWTPayload>
}

type Choice = Omit<Partial<Options>, 'open'> & {
  /** Scopes to leave unticked. */
  unticked?: string[]
  /** Narrows the request of the SDK. */
  narrow?: (asked: URL) => void
  fetch?: typeof globalThis.fetch
}

/** Creates a person who signs in when asked, and allows what is ticked. */
export function createPerson(
  issuer: string,
  server: string,
  email: string,
  { unticked = [], narrow, fetch = globalThis.fetch, ...options }: Choice = {},
): Person {
  const visitor = createVisitor(issuer)
  const provider = createProvider({
    redirectUrl: 'http://127.0.0.1:33418/callback',
    ...options,
    open(address) {
      narrow?.(address)
      person.asked.push(address)
    },
  })
  let client = new Client({ name: 'test', version: '1.0.0' })
  let transport: StreamableHTTPClientTransport

  const recording: typeof globalThis.fetch = (input, init) => {
    person.requests.push(`${init?.method ?? 'GET'} ${input instanceof Request ? input.url : input}`)
    return fetch(input, init)
  }

  function allow(page: Page): Promise<Page> {
    const boxes = tickboxes(page.body)
    person.consents.push(boxes.map(({ value }) => nameOf(value)))
    const ticked = (field: string) =>
      boxes
        .filter(({ name, value }) => name === field && !unticked.some((scope) => value.split(' ').includes(scope)))
        .map(({ value }) => value)
    const choice = { scope: ticked('scope'), resource_scope: ticked('resource_scope') }
    person.ticked.push(Object.values(choice).flat().map(nameOf))
    return visitor.submit(page, '/consent', { decision: 'allow', ...choice })
  }

  async function browse(): Promise<void> {
    let page = await visitor.get(String(person.asked.at(-1)))
    for (let step = 0; page.url.includes('/interaction/'); step++) {
      if (step === 4) throw new Error(`the login did not end: ${page.body}`)
      page = page.body.includes('name="password"') ? await visitor.signIn(page, email) : await allow(page)
    }
    const answer = new URL(page.url)
    if (answer.origin === new URL(issuer).origin) throw new Error(`the provider refused:\n${page.body}`)
    person.answers.push(answer)
    await transport.finishAuth(provider.codeIn(answer))
  }

  /** Does the work, and does it once more if the person first had to allow it. */
  async function whenAllowed<Result>(work: () => Promise<Result>): Promise<Result> {
    try {
      return await work()
    } catch (error) {
      if (!(error instanceof UnauthorizedError)) throw error
      await browse()
      return work()
    }
  }

  const person: Person = {
    provider,
    asked: [],
    consents: [],
    ticked: [],
    answers: [],
    requests: [],
    connect: () =>
      whenAllowed(() => {
        client = new Client({ name: 'test', version: '1.0.0' })
        transport = new StreamableHTTPClientTransport(new URL(server), { authProvider: provider, fetch: recording })
        return client.connect(transport as Parameters<Client['connect']>[0])
      }),
    async use(name, input = {}) {
      const { content } = await whenAllowed(() => client.callTool({ name, arguments: input }))
      return (content as { text: string }[]).map(({ text }) => text).join('\n')
    },
    token: async () => decodeJwt(String((await provider.tokens())?.access_token)),
  }
  return person
}

/** Returns the scope of a box, whose value also names the API if the scope belongs to one. */
const nameOf = (value: string) => String(value.split(' ').at(-1))
