import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Server } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { postern } from '../support/command-line.ts'

const password = 'S3cret-217200d9d86d'
const commands = [
  ...['start', 'migrate', 'config', 'export', 'apply -f examples/postern.yaml', 'secrets list'],
  ...['account list', 'keys rotate', 'audit'],
]

describe('an unverified DATABASE_URL beyond this machine', () => {
  let server: Server
  let connections = 0
  let env: Record<string, string>

  beforeAll(async () => {
    // 0.0.0.0 reaches this machine, but Postern does not count it as such: it stands for a database anywhere.
    server = createServer((socket) => {
      connections += 1
      socket.destroy()
    }).listen(0)
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    env = {
      DATABASE_URL: `postgres://postern:${password}@0.0.0.0:${port}/postern`,
      ENCRYPTION_KEYS: randomBytes(32).toString('base64'),
    }
  })
  afterAll(() => server?.close())

  test.each(commands)('is refused by postern %s, before anything is sent', async (command) => {
    const { code, stdout, stderr } = await postern(command.split(' '), { env })
    expect([code, stdout]).toEqual([2, ''])
    expect(stderr).toContain('DATABASE_URL must have sslmode=verify-full')
    expect(stderr).not.toContain(password)
    expect(connections).toBe(0)
  })

  test('is used where INSECURE_DATABASE_CONNECTION allows it', async () => {
    const insecure = { ...env, INSECURE_DATABASE_CONNECTION: 'true' }
    expect(await postern(['account', 'list'], { env: insecure })).toMatchObject({ code: 1 })
    expect(connections).toBeGreaterThan(0)
  })
})
