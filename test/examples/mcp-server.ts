import { operate } from '../support/operator.ts'
import { freePort, type TestPostern } from '../support/postern.ts'
import { run } from './example.ts'

const scopes = { 'notes:read': 'Read your notes', 'notes:write': 'Change your notes' }

/** Registers an MCP server, as docs/mcp.md does. */
export async function register(postern: TestPostern, identifier: string): Promise<void> {
  await operate(postern, 'resource create', { identifier, name: 'Notes', scopes, token_format: 'jwt' })
}

/** Opens an MCP server to the clients of a registration policy, as docs/mcp.md does. */
export async function openTo(postern: TestPostern, policy: string, identifier: string): Promise<void> {
  const rules = { resources: [identifier], scopes: ['openid', 'offline_access', ...Object.keys(scopes)] }
  await operate(postern, 'registration-policy set', { name: policy, rules })
}

/** Starts the example, registered with a provider, and returns its address. */
export async function startMcpServer(postern: TestPostern): Promise<string> {
  const port = await freePort()
  const identifier = `http://localhost:${port}/mcp`
  await register(postern, identifier)
  const server = run('examples/mcp-server/main.ts', { ISSUER: postern.issuer, PORT: String(port) })
  await server.prints(/accepts tokens/)
  return identifier
}
