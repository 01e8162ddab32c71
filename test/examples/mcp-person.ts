import { UnauthorizedError } from '@modelcontextprotocol/sdk/client/auth.js'
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { decodeJwt, type JWTPayload } from 'jose'
import { createProvider, type Options, type Provider } from '../../examples/mcp-client/provider.ts'
import { createVisitor, type Page, tickboxes } from '../support/visitor.ts'

/** Somebody who uses an MCP client, made with the public SDK, and their browser. */
export type Person = {
  provider: Provider
  /** Where the SDK led the browser, what consent pages asked for there, and what was ticked on them. */
  asked: URL[]
  consents: string[][]
  ticked: string[][]
  /** What the browser came back with. */
  answers: URL[]
  /** Every request of the client, as method and address. */
  requests: string[]
  connect(): Promise<void>
  /** Uses a tool, and says what it answered. */
  use(tool: string, input?: Record<string, unknown>): Promise<string>
  /** The claims of the access token. */
  token(): Promise<JWTPayload>
}

type Choice = Omit<Partial<Options>, 'open'> & {
  /** Scopes that are unticked. */
  unticked?: string[]
  /** Asks for less than the SDK would. */
  narrow?: (asked: URL) => void
  fetch?: typeof globalThis.fetch
}

/** Signs in when asked, and allows what is ticked. */
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

  /** Tries once more when the person had to be asked. */
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

/** Of a box for a scope of an API, which names both. */
const nameOf = (value: string) => String(value.split(' ').at(-1))
