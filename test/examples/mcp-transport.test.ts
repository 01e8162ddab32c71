import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startPostern, type TestPostern } from '../support/postern.ts'
import { stopAll } from './example.ts'
import { startMcpServer } from './mcp-server.ts'

let postern: TestPostern
let mcp: string

beforeAll(async () => {
  postern = await startPostern()
  mcp = await startMcpServer(postern)
})
afterAll(async () => {
  await stopAll()
  await postern?.stop()
})

const send = (method: string, headers: Record<string, string> = {}) => fetch(mcp, { method, headers })

describe('MCP 2025-11-25, Transports, Security Warning: the `Origin` header', () => {
  test.each(['https://evil.example', 'http://localhost:4200', 'null'])(
    'of a page at %s is rejected',
    async (origin) => {
      for (const method of ['POST', 'GET', 'DELETE']) {
        expect([method, (await send(method, { origin })).status]).toEqual([method, 403])
      }
    },
  )

  test('is not required: a program sends none, and needs a token', async () => {
    expect((await send('POST')).status).toBe(401)
  })

  test('does not matter for the metadata, which pages may read too', async () => {
    const place = mcp.replace('/mcp', '/.well-known/oauth-protected-resource/mcp')
    const { status, headers } = await fetch(place, { headers: { origin: 'https://inspector.example' } })
    expect([status, headers.get('access-control-allow-origin')]).toEqual([200, '*'])
  })
})

test('only POST is answered, because there are no streams and no sessions', async () => {
  for (const method of ['GET', 'DELETE']) expect([method, (await send(method)).status]).toEqual([method, 405])
})
