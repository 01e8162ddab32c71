import { createServer, type RequestListener } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { gzipSync } from 'node:zlib'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { createGuardedFetch } from '../../src/egress/guarded-fetch.ts'
import { createCertificate } from '../support/certificate.ts'
import { createListener } from '../support/listener.ts'
import { freePort } from '../support/postern.ts'
import { createReceiver } from '../support/receiver.ts'

const development = { allowsLoopback: true, privateHosts: [] }
const stops: (() => Promise<void>)[] = []
let guarded: typeof fetch

beforeEach(() => {
  guarded = createGuardedFetch(development)
  vi.useFakeTimers({ toFake: ['setTimeout'] }).setTimerTickMode('nextTimerAsync') // a failure is reported at once
})
afterEach(async () => {
  vi.useRealTimers()
  vi.unstubAllEnvs()
  for (const stop of stops.splice(0)) await stop()
})

async function receiver(answer?: Parameters<typeof createReceiver>[0]) {
  const made = await createReceiver(answer)
  stops.push(made.stop)
  return made
}

async function listener(options?: Parameters<typeof createListener>[0]) {
  const made = await createListener(options)
  stops.push(made.stop)
  return made
}

/** Starts a server with this handler, and returns its address. */
async function serving(handler: RequestListener): Promise<string> {
  const server = createServer(handler)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()))
  stops.push(async () => {
    server.close()
    server.closeAllConnections()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

async function errorOf(fetching: Promise<Response>): Promise<Error> {
  return fetching.then(
    () => expect.fail('it was fetched'),
    (error: Error) => error,
  )
}

const reasonOf = async (fetching: Promise<Response>) => String(((await errorOf(fetching)).cause as Error).message)

describe('a fetch', () => {
  test('sends the given method, headers and body, and returns the answer', async () => {
    const { url, received } = await receiver({ body: { ok: true }, headers: { 'cache-control': 'max-age=60' } })
    for (const body of [new URLSearchParams({ a: 'b c' }), 'a=b+c', Buffer.from('a=b+c')]) {
      const headers = { 'content-type': 'application/x-www-form-urlencoded', accept: 'application/json' }
      const response = await guarded(`${url}/path?query#fragment`, { method: 'POST', headers, body })
      expect(response).toBeInstanceOf(Response)
      expect([response.status, response.headers.get('cache-control')]).toEqual([200, 'max-age=60'])
      expect(await response.json()).toEqual({ ok: true })
    }
    expect(received).toHaveLength(3)
    for (const { method, path, body, headers } of received) {
      expect([method, path, body]).toEqual(['POST', '/path?query', 'a=b+c'])
      expect(headers).toMatchObject({ accept: 'application/json', host: new URL(url).host, 'content-length': '5' })
    }
  })

  test('declares the type of a body of parameters', async () => {
    const { url, received } = await receiver()
    await guarded(url, { method: 'POST', body: new URLSearchParams({ a: 'b' }) })
    expect(received[0]?.headers['content-type']).toMatch(/^application\/x-www-form-urlencoded/)
  })

  test('returns an answer without content', async () => {
    const url = await serving((_req, res) => res.writeHead(204).end())
    const response = await guarded(url)
    expect([response.status, await response.text()]).toEqual([204, ''])
  })

  test('sends no cookie, keeps none, and requests no compression', async () => {
    const { url, received } = await receiver({ headers: { 'set-cookie': 'from=there' } })
    const headers = {
      cookie: 'postern_session=secret',
      host: 'inner.example',
      'accept-encoding': 'gzip',
      te: 'trailers',
    }
    for (let time = 0; time < 2; time++) await guarded(url, { headers })
    for (const { headers } of received) {
      expect(headers).toEqual({ 'accept-encoding': 'identity', connection: 'close', host: new URL(url).host })
    }
  })

  test('reaches a host at any of its addresses', async () => {
    const { url } = await receiver()
    const { port } = new URL(url)
    const fetching = createGuardedFetch({ ...development, lookup: async () => ['::1', '127.0.0.2', '127.0.0.1'] })
    expect((await fetching(`http://localhost:${port}/`)).status).toBe(200)
  })

  test('must use https for all hosts but loopback, in development too', async () => {
    const there = await listener()
    const fetching = createGuardedFetch({ ...development, lookup: async () => ['127.0.0.1'] })
    for (const host of ['rp.example', 'localhost.example', '127.0.0.2', '[::ffff:127.0.0.1]'])
      expect(await reasonOf(fetching(`http://${host}:${there.port}/`))).toBe('http: is not https:')
    expect(there.connections).toBe(0)
  })
})

describe('an answer', () => {
  test.each([301, 302, 303, 307, 308])('that redirects with %i is an error, and is not followed', async (status) => {
    const inner = await receiver()
    const outer = await receiver({ status, headers: { location: inner.url } })
    for (const redirect of ['follow', 'manual', 'error'] as const) {
      for (const init of [{}, { method: 'POST', body: 'logout_token=x' }]) {
        // Each has its own path, because a failed one would be left alone.
        const url = `${outer.url}/${redirect}/${init.method}`
        expect(await reasonOf(guarded(url, { ...init, redirect }))).toBe(`it answered with status ${status}`)
      }
    }
    expect([outer.received.length, inner.received.length]).toEqual([6, 0])
  })

  test.each([304, 400, 401, 404, 500])('with status %i is an error', async (status) => {
    const { url } = await receiver({ status })
    expect(await reasonOf(guarded(url))).toBe(`it answered with status ${status}`)
  })

  test('that is an error is not read, and its connection is closed without waiting for the time limit', async () => {
    const silent = await listener()
    const limit = errorOf(createGuardedFetch(development)(`http://localhost:${silent.port}/`)).then(() => 'limit')
    const closed = Promise.withResolvers<void>()
    const url = await serving((_req, res) => {
      res.on('close', closed.resolve).writeHead(404).write('it has no end')
    })
    expect(await reasonOf(guarded(url))).toBe('it answered with status 404')
    expect(await Promise.race([closed.promise.then(() => 'closed'), limit])).toBe('closed')
    await limit
  })

  test('is read up to 64 KiB, and rejected with one byte more', async () => {
    const url = await serving((req, res) => res.end(Buffer.alloc(Number(req.url?.slice(1)), 'a')))
    expect(await (await guarded(`${url}/65536`)).text()).toHaveLength(65_536)
    expect(await reasonOf(guarded(`${url}/65537`))).toBe('its answer is longer than 65536 bytes')
  })

  test('without an end is cut off, whatever length it declares', async () => {
    for (const claim of [{}, { 'content-length': '10' }, { 'content-length': String(2 ** 40) }]) {
      const { promise, resolve } = Promise.withResolvers<void>()
      const url = await serving((_req, res) => {
        res.on('close', resolve)
        res.on('error', () => {})
        res.strictContentLength = false
        res.writeHead(200, claim)
        const more = () => {
          while (!res.destroyed && res.write(Buffer.alloc(16_384, 'a')));
        }
        res.on('drain', more)
        more()
      })
      const outcome = await guarded(url).then(
        async (response) => (await response.text()).length,
        (error: Error) => (error.cause as Error).message,
      )
      expect(outcome).toBe(claim['content-length'] === '10' ? 10 : 'its answer is longer than 65536 bytes')
      await promise
    }
  })

  test('with headers of more than 16 KiB is an error', async () => {
    const url = await serving((_req, res) => res.writeHead(200, { 'x-long': 'a'.repeat(17_000) }).end('{}'))
    expect(await reasonOf(guarded(url))).toContain('Header overflow')
  })

  test('that is compressed is an error, and is not decompressed', async () => {
    for (const encoding of ['gzip', 'br', 'identity, gzip']) {
      const url = await serving((_req, res) =>
        res.writeHead(200, { 'content-encoding': encoding }).end(gzipSync(Buffer.alloc(1_000_000))),
      )
      expect(await reasonOf(guarded(url))).toContain('encoding')
    }
  })

  test('that breaks off is an error', async () => {
    const url = await serving((_req, res) => {
      res.writeHead(200, { 'content-length': '10' }).write('{}')
      setImmediate(() => res.destroy())
    })
    expect(await reasonOf(guarded(url))).toBe('aborted')
  })

  test('that would never end is given up, whatever it sends, and its connection is closed', async () => {
    const handlers: Record<string, RequestListener> = {
      'does not begin': () => {},
      'is always about to begin': (_req, res) => drip(() => res.writeProcessing()),
      'begins a byte at a time': ({ socket }) =>
        drip(() => socket.write(socket.bytesWritten ? 'a' : 'HTTP/1.1 200 OK\r\na:')),
      'does not end': (_req, res) => res.writeHead(200).write('{'),
      'goes on a byte at a time': (_req, res) => drip(() => res.write(' ')),
    }
    const reasons = await Promise.all(
      Object.values(handlers).map(async (handler) => {
        const closed = Promise.withResolvers<void>()
        const url = await serving((req, res) => {
          req.socket.on('close', closed.resolve).on('error', () => {})
          handler(req, res)
        })
        const reason = await reasonOf(guarded(url))
        await closed.promise
        return reason
      }),
    )
    expect(new Set(reasons)).toEqual(new Set(['The operation was aborted due to timeout']))
  })
})

function drip(write: () => void): void {
  const timer = setInterval(write, 100)
  stops.push(async () => clearInterval(timer))
}

describe('a host', () => {
  test('that never finishes a TLS handshake is given up', async () => {
    const silent = await listener()
    expect(await reasonOf(guarded(`https://localhost:${silent.port}/`))).toContain('aborted due to timeout')
    expect(silent.connections).toBe(1)
  })

  test('with an untrusted certificate is sent nothing, even with NODE_TLS_REJECT_UNAUTHORIZED=0', async () => {
    let requests = 0
    const server = createSecureServer(createCertificate(), () => requests++)
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()))
    stops.push(async () => void server.close())
    const url = `https://localhost:${(server.address() as AddressInfo).port}/`
    vi.stubEnv('NODE_TLS_REJECT_UNAUTHORIZED', '0')
    expect(await reasonOf(guarded(url))).toContain('self-signed certificate')
    expect(requests).toBe(0)
  })
})

describe('a failure', () => {
  test('is the same error whether a port is open or closed or the address is forbidden', async () => {
    const [open, hangingUp, web] = [await listener(), await listener({ hangsUp: true }), await receiver()]
    const ports = [open.port, hangingUp.port, Number(new URL(web.url).port), await freePort()]
    const privateHosts = ports.map((port) => `inner.example:${port}`)
    const fetching = createGuardedFetch({ allowsLoopback: false, privateHosts, lookup: async () => ['127.0.0.1'] })
    const urls = [
      ...privateHosts.map((host) => `https://${host}/`),
      `https://127.0.0.1:${open.port}/`,
      `https://outer.example:${open.port}/`,
      `http://inner.example:${open.port}/`,
      'not an address',
    ]
    const seen = await Promise.all(
      urls.map(async (url) => {
        const error = await errorOf(fetching(url))
        return { name: error.name, message: error.message, shown: JSON.stringify(error), keys: Object.keys(error) }
      }),
    )
    expect(new Set(seen.map((each) => JSON.stringify(each)))).toEqual(
      new Set([
        JSON.stringify({ name: 'TypeError', message: 'the address could not be fetched', shown: '{}', keys: [] }),
      ]),
    )
    expect([open.connections, hangingUp.connections]).toEqual([1, 1])
  })

  test('is reported after half a second, whether a port was closed, or the address was forbidden or left alone', async () => {
    const closed = `https://localhost:${await freePort()}/`
    vi.useRealTimers()
    vi.useFakeTimers({ toFake: ['setTimeout', 'performance'] })
    for (const url of [closed, 'https://10.0.0.1/', closed]) {
      let isTold = false
      const failing = errorOf(guarded(url)).then(() => {
        isTold = true
      })
      while (vi.getTimerCount() === 0) await new Promise(setImmediate)
      await vi.advanceTimersByTimeAsync(499)
      expect([url, isTold]).toEqual([url, false])
      await vi.advanceTimersByTimeAsync(1)
      await failing
    }
  })

  test('is explained to the operator, with the host but no more of the address', async () => {
    const failures: { host: string; reason: unknown }[] = []
    const fetching = createGuardedFetch({ ...development, onFailure: (failure) => failures.push(failure) })
    await errorOf(fetching('https://10.0.0.1:8443/path?token=secret'))
    expect(failures.map(({ host }) => host)).toEqual(['10.0.0.1:8443'])
    expect(String(failures[0]?.reason)).not.toContain('secret')
  })

  test('results from aborting, which closes the connection', async () => {
    const [begun, closed] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    const url = await serving((req) => {
      req.socket.on('close', closed.resolve)
      begun.resolve()
    })
    const controller = new AbortController()
    const failing = errorOf(guarded(url, { signal: controller.signal }))
    await begun.promise
    controller.abort()
    expect((await failing).message).toBe('the address could not be fetched')
    await closed.promise
  })
})

describe('after a failure', () => {
  beforeEach(() => {
    vi.useRealTimers()
    vi.useFakeTimers({ toFake: ['performance'] })
  })

  test('a host that cannot be reached gets no connection until a pause is over, which grows', async () => {
    const broken = await listener({ hangsUp: true })
    const attempt = (path: string) => errorOf(guarded(`https://localhost:${broken.port}/${path}`))
    await attempt('one')
    expect(broken.connections).toBe(1)
    await attempt('two')
    vi.advanceTimersByTime(999)
    await attempt('three')
    expect(broken.connections).toBe(1)
    vi.advanceTimersByTime(1)
    await attempt('four')
    expect(broken.connections).toBe(2)
    vi.advanceTimersByTime(1_999)
    await attempt('five')
    expect(broken.connections).toBe(2)
    vi.advanceTimersByTime(1)
    await attempt('six')
    expect(broken.connections).toBe(3)
  })

  test('an address that answers with an error is left alone, and another at the same host is not', async () => {
    const asked: string[] = []
    const url = await serving((req, res) => {
      asked.push(String(req.url))
      res.writeHead(req.url === '/bad' ? 500 : 200).end()
    })
    await errorOf(guarded(`${url}/bad`))
    await errorOf(guarded(`${url}/bad#again`))
    expect((await guarded(`${url}/good`)).status).toBe(200)
    expect(asked).toEqual(['/bad', '/good'])
    await errorOf(guarded(`${url}/bad`))
    vi.advanceTimersByTime(1_000)
    await errorOf(guarded(`${url}/bad`))
    expect(asked).toEqual(['/bad', '/good', '/bad'])
  })

  test('an address that does not answer in time is left alone', async () => {
    const asked: string[] = []
    const url = await serving((req, res) => {
      asked.push(String(req.url))
      if (req.url === '/good') res.end()
    })
    await errorOf(guarded(`${url}/slow`))
    await errorOf(guarded(`${url}/slow`))
    expect((await guarded(`${url}/good`)).status).toBe(200)
    expect(asked).toEqual(['/slow', '/good'])
  })

  test('a success resets the next pause to the first one', async () => {
    let status = 500
    let asked = 0
    const url = await serving((_req, res) => {
      asked++
      res.writeHead(status).end()
    })
    await errorOf(guarded(url))
    vi.advanceTimersByTime(1_000)
    status = 200
    await guarded(url)
    status = 500
    await errorOf(guarded(url))
    vi.advanceTimersByTime(1_000)
    await errorOf(guarded(url))
    expect(asked).toBe(4)
  })
})
