import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createPasskey } from '../support/authenticator.ts'
import { addPasskey, optionsAt } from '../support/passkey-holder.ts'
import { type Fleet, startFleet } from '../support/processes.ts'
import { cookieHeaderOf } from '../support/visitor.ts'
import { browserAt, call, expectNoFailures } from './journey.ts'
import { createTally, patienceMs, printTable, race, rounds, settle } from './race.ts'

const email = 'ada@example.com'
let fleet: Fleet

beforeAll(async () => {
  fleet = await startFleet()
  await fleet.createAccount(email)
})
afterAll(async () => {
  printTable()
  expectNoFailures(fleet)
  await fleet?.stop()
})

describe('fifty simultaneous uses at two processes', () => {
  test('sign in once by one challenge of a passkey', { timeout: patienceMs }, async () => {
    const passkey = createPasskey(new URL(fleet.issuer).origin, { counts: false }) // so that only the challenge decides
    const owner = browserAt(fleet.processes[0])
    await owner.signIn(await owner.get('/account'), email)
    await addPasskey(owner, passkey)
    const tally = createTally('challenge of a passkey')
    for (let round = 0; round < rounds; round++) {
      const visitor = browserAt(fleet.processes[0])
      const page = await visitor.get('/account')
      const response = passkey.authenticate(await optionsAt(visitor, page))
      const { pathname } = new URL(page.url)
      const [, csrf = ''] = /name="csrf" value="([^"]+)"/.exec(page.body) ?? []
      const form = { response, csrf, uid: String(pathname.split('/')[2]) }
      const headers = { origin: new URL(fleet.issuer).origin, cookie: cookieHeaderOf(visitor) }
      const answers = await race(fleet, (server) => call(server, `${pathname}/passkey`, { form, headers }))
      const { winners } = settle(tally, answers, ({ location }) => location?.pathname.startsWith('/oauth/') === true)
      expect(winners).toHaveLength(1)
    }
    expect(tally.serverErrors).toBe(0)
  })
})
