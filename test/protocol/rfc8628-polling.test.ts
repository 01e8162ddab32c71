import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import type { RunningServer } from '../../src/serve.ts'
import type { ClientMetadata } from '../../src/stores/clients/clients.ts'
import { serveBeside, startPostern, type TestPostern } from '../support/postern.ts'
import { createVisitor } from '../support/visitor.ts'
import { knock, send } from '../support/wire.ts'

const grant_type = 'urn:ietf:params:oauth:grant-type:device_code'
const intervalSeconds = 5
let postern: TestPostern
let second: RunningServer
let tv: ClientMetadata

beforeAll(async () => {
  postern = await startPostern()
  await postern.createAccount('ada@example.com')
  tv = await postern.createClient({
    grant_types: [grant_type],
    redirect_uris: [],
    response_types: [],
    token_endpoint_auth_method: 'none',
  })
  second = await serveBeside(postern)
})
beforeEach(() => {
  now = Date.now()
  pass(0) // from here on the clock moves only when a test moves it
})
afterEach(() => {
  vi.useRealTimers()
})
afterAll(async () => {
  await second?.stop()
  await postern?.stop()
})

const begin = async () =>
  (await send(postern, '/oauth/device_authorization', { form: { client_id: tv.client_id, scope: 'openid' } })).json as {
    device_code: string
    user_code: string
    interval: number
  }

async function pollAt(port: number, device_code: string): Promise<unknown> {
  const body = new URLSearchParams({ grant_type, device_code, client_id: tv.client_id }).toString()
  const { status, json } = await knock(port, '/oauth/token', {
    method: 'POST',
    headers: {
      host: new URL(postern.issuer).host,
      'content-type': 'application/x-www-form-urlencoded',
      'content-length': String(body.length),
    },
    body,
  })
  return status === 200 ? 200 : json['error']
}
const poll = (device_code: string) => pollAt(postern.config.PORT, device_code)

let now = 0
function pass(seconds: number): void {
  now += seconds * 1000
  vi.useFakeTimers({ toFake: ['Date'], now })
}

describe('RFC 8628 §3.2, §3.5: the polling interval', () => {
  test('is in the answer with the code', async () => {
    expect((await begin()).interval).toBe(intervalSeconds)
  })

  test('never causes slow_down for a device that keeps it', async () => {
    const { device_code } = await begin()
    for (const late of [0, 0.3, -0.3, 0, 0.2]) {
      expect([late, await poll(device_code)]).toEqual([late, 'authorization_pending'])
      pass(intervalSeconds + late)
    }
  })

  test('causes slow_down for a device that polls more often, which continues at its pace afterwards', async () => {
    const { device_code } = await begin()
    expect(await poll(device_code)).toBe('authorization_pending')
    for (const seconds of [0, 1, 2]) {
      pass(seconds)
      expect([seconds, await poll(device_code)]).toEqual([seconds, 'slow_down'])
    }
    pass(intervalSeconds + 5)
    expect(await poll(device_code)).toBe('authorization_pending')
  })

  test('is enforced across processes: one of twenty simultaneous polls is accepted', async () => {
    const { device_code } = await begin()
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, n) => pollAt(n % 2 === 0 ? postern.config.PORT : second.port, device_code)),
    )
    expect(answers.filter((answer) => answer === 'authorization_pending')).toHaveLength(1)
    expect(answers.filter((answer) => answer === 'slow_down')).toHaveLength(19)
  })

  test('applies to each code separately', async () => {
    const [one, two] = [await begin(), await begin()]
    expect(await poll(one.device_code)).toBe('authorization_pending')
    expect(await poll(two.device_code)).toBe('authorization_pending')
  })

  test('does not keep a device that polls too often from its tokens, once the person has answered', async () => {
    const { device_code, user_code } = await begin()
    expect(await poll(device_code)).toBe('authorization_pending')
    const visitor = createVisitor(postern.issuer)
    let page = await visitor.submit(await visitor.get('/device'), '/device', { user_code })
    page = await visitor.submit(page, '/device', { confirm: 'yes' })
    await visitor.allow(await visitor.signIn(page, 'ada@example.com'))
    expect(await poll(device_code)).toBe(200)
  })

  test('does not apply to an unknown code', async () => {
    expect([await poll('unknown'), await poll('unknown')]).toEqual(['invalid_grant', 'invalid_grant'])
  })

  test('costs one statement besides reading the code', async () => {
    const { device_code } = await begin()
    await poll(device_code)
    postern.statements.splice(0)
    expect(await poll(device_code)).toBe('slow_down')
    expect(postern.statements).toHaveLength(2)
  })
})
