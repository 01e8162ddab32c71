import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { UnauthorizedError } from '@modelcontextprotocol/sdk/client/auth.js'
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js'
import { createProvider } from './provider.ts'

// A program that uses an MCP server for its user. `main.ts Buy milk` adds a note; without words it lists the notes.

const { RESOURCE, CLIENT_ID, CLIENT_METADATA_URL, INITIAL_ACCESS_TOKEN } = process.env
const resource = new URL(RESOURCE || 'http://localhost:4200/mcp')
const text = process.argv.slice(2).join(' ')

// The browser comes back to this listener (RFC 8252 §7.3).
const listener = createServer()
await once(listener.listen(0, '127.0.0.1'), 'listening')
const { port } = listener.address() as AddressInfo

const provider = createProvider({
  redirectUrl: `http://127.0.0.1:${port}/callback`,
  metadata: { application_type: 'native' }, // the port differs each time
  clientId: CLIENT_ID,
  clientMetadataUrl: CLIENT_METADATA_URL,
  open: (address) => console.log(`Open ${address}\n`),
})
const client = new Client({ name: 'notes-on-the-command-line', version: '1.0.0' })

try {
  const transport = await connect()
  const work = () =>
    client.callTool(text ? { name: 'add_note', arguments: { text } } : { name: 'list_notes', arguments: {} })
  const { content } = await work().catch(async (error) => {
    await finish(transport, error)
    return work()
  })
  for (const part of content as { text: string }[]) console.log(part.text)
} catch (error) {
  console.error(explain(error as Error))
  process.exitCode = 1
} finally {
  await client.close()
  listener.close()
  listener.closeAllConnections()
}

async function connect(): Promise<StreamableHTTPClientTransport> {
  const transport = createTransport()
  try {
    await client.connect(transport as Transport)
    return transport
  } catch (error) {
    await finish(transport, error)
  }
  const next = createTransport()
  await client.connect(next as Transport)
  return next
}

function createTransport(): StreamableHTTPClientTransport {
  return new StreamableHTTPClientTransport(resource, { authProvider: provider, fetch: withInitialAccessToken })
}

/** Waits until the person has answered the provider, if that is why the request failed. */
async function finish(transport: StreamableHTTPClientTransport, error: unknown): Promise<void> {
  if (!(error instanceof UnauthorizedError)) throw error
  await transport.finishAuth(provider.codeIn(await answer()))
}

async function answer(): Promise<URL> {
  for (;;) {
    const [request, response] = await once(listener, 'request')
    const url = new URL(request.url, provider.redirectUrl)
    response.writeHead(url.pathname === '/callback' ? 200 : 404, { 'content-type': 'text/plain' })
    response.end('You can close this window.')
    if (url.pathname === '/callback') return url
  }
}

/** Adds the initial access token where registration is not open (RFC 7591 §3.1). The SDK has no option for it. */
function withInitialAccessToken(input: string | URL, init: RequestInit = {}): Promise<Response> {
  const headers = new Headers(init.headers)
  const isRegistration = String(input) === provider.registrationEndpoint()
  if (INITIAL_ACCESS_TOKEN && isRegistration) headers.set('authorization', `Bearer ${INITIAL_ACCESS_TOKEN}`)
  return fetch(input, { ...init, headers })
}

function explain({ message, cause }: Error): string {
  const { code } = (cause ?? {}) as { code?: string }
  return code === 'ECONNREFUSED' ? `Nothing answers at ${resource} or its provider. Are they running?` : message
}
