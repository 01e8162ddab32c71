import { once } from 'node:events'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { freePort } from '../support/postern.ts'
import { hasNginx, type Nginx, startNginx } from './nginx.ts'

const requests = [
  '/oauth/logout?id_token_hint=eyJhbGciOi.S3CRET-HINT.SIGNATURE',
  '/device?user_code=S3CRET-CODE',
  '/oauth/authorize?client_id=x&login_hint=S3CRET-ada@example.com&request=eyJS3CRET',
  '/interaction/S3CRET-UID',
]
const headers = {
  referer: 'https://rp.example/cb?code=S3CRET-REFERRER',
  authorization: 'Bearer S3CRET-TOKEN',
  cookie: 'postern_session=S3CRET-COOKIE',
}

describe.runIf(hasNginx)('the nginx of the composition, while every replica is down', () => {
  let folder: string
  let nginx: Nginx
  let origin: string

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'postern-proxy-'))
    const port = await freePort()
    origin = `http://127.0.0.1:${port}`
    const upstreams = { 'provider-1': await freePort(), 'provider-2': await freePort() }
    nginx = await startNginx(folder, { port, upstreams })
  })
  afterAll(async () => {
    if (nginx && nginx.child.exitCode === null) nginx.child.kill('SIGKILL')
    if (folder) await rm(folder, { recursive: true, force: true })
  })

  test('logs nothing of a request: no query, no referrer, no token', async () => {
    for (const path of requests) {
      expect((await fetch(`${origin}${path}`, { headers })).status, path).toBe(502)
      expect((await fetch(`${origin}${path}`, { method: 'POST', headers, body: 'x=S3CRET-BODY' })).status).toBe(502)
    }
    // More than it accepts, in a request line and in a body.
    expect((await fetch(`${origin}/?${'S3CRET'.repeat(4_000)}`, { headers })).status).toBe(414)
    const body = `S3CRET${'x'.repeat(200_000)}`
    expect((await fetch(`${origin}/oauth/par?S3CRET`, { method: 'POST', headers, body })).status).toBe(413)

    const ended = once(nginx.child, 'close')
    await sleep(100)
    nginx.child.kill('SIGTERM')
    await ended
    const names = (await readdir(folder, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile())
    const files = await Promise.all(names.map(({ parentPath, name }) => readFile(join(parentPath, name), 'utf8')))
    for (const text of [nginx.written(), ...files]) {
      expect(text).not.toMatch(/S3CRET|upstream: "|request: "|referrer: "/)
    }
  })
})
