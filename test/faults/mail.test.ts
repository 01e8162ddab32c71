import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import * as outbox from '../../src/stores/operations/outbox.ts'
import { eventually } from '../support/eventually.ts'
import { type MailServer, startMailServer } from '../support/mail-server.ts'
import { type Fleet, startFleet } from '../support/processes.ts'

let fleet: Fleet
let mailServer: MailServer

beforeAll(async () => {
  mailServer = await startMailServer()
  fleet = await startFleet({ SMTP_URL: mailServer.url, MAIL_FROM: 'no-reply@example.com' }, 2)
})
afterAll(async () => {
  await fleet?.stop()
  await mailServer?.stop()
})
afterEach(async () => {
  Object.assign(mailServer.behaviour, { onRecipient: undefined, onMessage: undefined, onKept: undefined })
  mailServer.mails.length = 0
  await fleet.database.query('delete from outbox')
})

async function post(addresses: readonly string[]): Promise<string[]> {
  const { database, storage } = fleet.operator
  const letters = addresses.map((to) => ({ kind: 'test' as const, to }))
  return database.db.transaction().execute((tx) => outbox.add(tx, storage.envelope, letters))
}

/** Ends the leases of the killed processes, as their time does. */
const endLeases = () =>
  fleet.database.query(`update outbox set leased_until = now() - interval '1 second' where leased_until is not null`)

const unsent = () => fleet.database.query('select id from outbox where sent_at is null')

/** Returns the Message-IDs of all mails to each address that a person would see, and how many copies there were. */
function seen(addresses: readonly string[]): { people: number[]; copies: number } {
  const ids = addresses.map((address) =>
    mailServer.mails.filter(({ to }) => to.includes(address)).map((mail) => mail.messageId),
  )
  return { people: ids.map((own) => new Set(own).size), copies: ids.flat().length }
}

describe('a process that is killed while it sends', () => {
  const addresses = Array.from({ length: 12 }, (_, index) => `person${index}@example.com`)

  test.each(['before the message', 'between the message and its answer'] as const)(
    '%s loses no mail, and nobody sees two',
    async (moment) => {
      const reached = Promise.withResolvers<void>()
      let times = 0
      const stall = () => {
        times += 1
        if (times < 4) return undefined
        reached.resolve()
        return new Promise<void>(() => {}) // until the connection is gone
      }
      if (moment === 'before the message') mailServer.behaviour.onRecipient = stall
      else mailServer.behaviour.onKept = stall
      await post(addresses)
      await reached.promise
      if (moment === 'before the message') await eventually(async () => expect(await unsent()).toHaveLength(9))
      for (const process of fleet.processes) await process.kill()
      Object.assign(mailServer.behaviour, { onRecipient: undefined, onKept: undefined })
      await endLeases()
      for (const process of fleet.processes) await process.start()
      await eventually(async () => expect(await unsent()).toEqual([]))
      const { people, copies } = seen(addresses)
      expect(people).toEqual(addresses.map(() => 1))
      if (moment === 'before the message') expect(copies).toBe(addresses.length)
    },
  )
})

test('a process that hangs while it sends, and wakes up after another one sent the mail, does not send it', async () => {
  const [first, second] = fleet.processes
  await second.stop()
  const reached = Promise.withResolvers<void>()
  const released = Promise.withResolvers<void>()
  mailServer.behaviour.onRecipient = async () => {
    reached.resolve()
    await released.promise
  }
  await post(['asleep@example.com'])
  await reached.promise
  first.pause()
  delete mailServer.behaviour.onRecipient
  await endLeases()
  await second.start()
  await mailServer.mailTo('asleep@example.com')
  await eventually(async () => expect(await unsent()).toEqual([]))
  first.resume()
  released.resolve()
  await post(['next@example.com'])
  await mailServer.mailTo('next@example.com')
  await eventually(async () => expect(await unsent()).toEqual([]))
  expect(seen(['asleep@example.com'])).toEqual({ people: [1], copies: 1 })
})

test('one process after the other is killed under load, and every mail arrives', async () => {
  const addresses = Array.from({ length: 60 }, (_, index) => `load${index}@example.com`)
  const sending = post(addresses)
  for (const process of fleet.processes) {
    await eventually(() => expect(mailServer.mails.length).toBeGreaterThan(0))
    await process.kill()
    await endLeases()
    await process.start()
  }
  await sending
  await endLeases()
  await eventually(async () => {
    expect(await unsent()).toEqual([])
  })
  expect(seen(addresses).people).toEqual(addresses.map(() => 1))
})
