import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { waitMs } from '../../src/mail/delivery.ts'
import type { Letter } from '../../src/stores/operations/letters.ts'
import * as outbox from '../../src/stores/operations/outbox.ts'
import { eventually } from '../support/eventually.ts'
import { answer, headerOf, type MailServer, startMailServer } from '../support/mail-server.ts'
import { freePort, serveBeside, startPostern, type TestPostern } from '../support/postern.ts'

let postern: TestPostern
let mailServer: MailServer | undefined
let port: number

beforeAll(async () => {
  port = await freePort()
  postern = await startPostern({ SMTP_URL: `smtp://127.0.0.1:${port}`, MAIL_FROM: 'Example <no-reply@example.com>' })
})
afterAll(() => postern?.stop())
beforeEach(async () => {
  await postern.database.query('delete from outbox')
  mailServer = await startMailServer({ port })
})
afterEach(async () => {
  vi.useRealTimers()
  await mailServer?.stop()
})

const server = () => mailServer as MailServer

async function post(...letters: Letter[]): Promise<string[]> {
  const { database, storage } = postern.server.postern
  return database.db.transaction().execute((tx) => outbox.add(tx, storage.envelope, letters))
}

const to = (address: string): Letter => ({ kind: 'test', to: address })

const row = async (id: string) => (await postern.database.query('select * from outbox where id = $1', [id]))[0]

/** Makes a letter due now, as if its wait were over. */
async function due(id: string): Promise<void> {
  await postern.database.query('update outbox set next_attempt_at = now() where id = $1', [id])
  await postern.database.query(`select pg_notify('${outbox.addedChannel}', '')`)
}

describe('a letter', () => {
  test('is sent once its transaction is committed, and is then forgotten', async () => {
    const [id = ''] = await post(to('ada@example.com'))
    const mail = await server().mailTo('ada@example.com')
    expect(mail.from).toBe('no-reply@example.com')
    expect(mail.messageId).toBe(`<${id}@localhost>`)
    expect(headerOf(mail, 'From')).toBe('Example <no-reply@example.com>')
    expect(headerOf(mail, 'Auto-Submitted')).toBe('auto-generated')
    await eventually(async () => expect((await row(id))?.['sent_at']).toBeInstanceOf(Date))
    expect(await row(id)).toMatchObject({ sealed: null, attempts: 1, last_error: null, leased_until: null })
  })

  test('is not sent if its transaction fails', async () => {
    const { database, storage } = postern.server.postern
    const failing = database.db.transaction().execute(async (tx) => {
      await outbox.add(tx, storage.envelope, [to('never@example.com')])
      throw new Error('The change failed.')
    })
    await expect(failing).rejects.toThrow('The change failed.')
    await post(to('after@example.com'))
    await server().mailTo('after@example.com')
    expect(server().mails.map((mail) => mail.to[0])).toEqual(['after@example.com'])
  })

  test('is written without the server being asked, however long that would take', async () => {
    server().behaviour.onRecipient = () => new Promise(() => {})
    const ids = await post(...Array.from({ length: 20 }, (_, index) => to(`n${index}@example.com`)))
    expect(ids).toHaveLength(20)
    await eventually(() => expect(server().connections()).toBeGreaterThan(0))
    expect(postern.config.MAIL_CONNECTIONS).toBe(3)
    expect(server().connections()).toBeLessThanOrEqual(3)
    // No transaction waits for the mail server, and no letter has stopped waiting. One may be open for a moment.
    await eventually(async () => {
      const open = await postern.database.query(
        `select 1 from pg_stat_activity where datname = current_database() and state = 'idle in transaction'`,
      )
      expect(open).toEqual([])
    })
    expect(await postern.database.query('select 1 from outbox where last_error is not null')).toEqual([])
  })

  test('is sent by one of several processes only', async () => {
    const other = await serveBeside(postern)
    try {
      const addresses = Array.from({ length: 30 }, (_, index) => `many${index}@example.com`)
      await post(...addresses.map(to))
      await Promise.all(addresses.map((address) => server().mailTo(address)))
      await eventually(async () =>
        expect(await postern.database.query('select 1 from outbox where sent_at is null')).toEqual([]),
      )
      expect(server().mails).toHaveLength(30)
    } finally {
      await other.stop()
    }
  })
})

describe('a mail server that refuses', () => {
  test('for now gets the mail again, after a wait that grows', async () => {
    let refusals = 0
    server().behaviour.onRecipient = () => {
      refusals += 1
      if (refusals < 3) throw answer(451, 'Greylisted')
    }
    let sentAt = Date.now()
    const [id = ''] = await post(to('grey@example.com'))
    for (let failures = 1; failures < 3; failures++) {
      await eventually(async () => expect(await row(id)).toMatchObject({ attempts: failures, leased_until: null }))
      const { next_attempt_at: next, last_error: reason } = (await row(id)) ?? {}
      // It failed at some time since it was sent.
      expect((next as Date).getTime() - sentAt).toBeGreaterThan(15_000 * failures)
      expect((next as Date).getTime() - Date.now()).toBeLessThan(38_000 * 2 ** (failures - 1))
      expect(reason).toContain('451 Greylisted')
      sentAt = Date.now()
      await due(id)
    }
    await server().mailTo('grey@example.com')
    expect(refusals).toBe(3)
  })

  test('for good does not get it again, and the reason stays visible', async () => {
    server().behaviour.onRecipient = (address) => {
      if (address.startsWith('nobody')) throw answer(550, 'No such person')
    }
    const [bad = ''] = await post(to('nobody@example.com'), to('somebody@example.com'))
    await server().mailTo('somebody@example.com') // one refusal does not stop the others
    await eventually(async () => expect((await row(bad))?.['failed_at']).toBeInstanceOf(Date))
    expect(await row(bad)).toMatchObject({ attempts: 1, last_error: expect.stringContaining('550 No such person') })
    const logged = postern.logged.filter((line) => line.includes(bad)).map((line) => JSON.parse(line))
    expect(logged.at(-1)).toMatchObject({ level: 40, kind: 'test', reason: expect.stringContaining('550') })
    expect(postern.logged.join()).not.toContain('nobody@example.com')
  })

  test('the message itself gets it again with the same Message-ID only when it may have it', async () => {
    let times = 0
    server().behaviour.onMessage = () => {
      times += 1
      if (times === 1) throw answer(452, 'Out of space')
    }
    const [id = ''] = await post(to('space@example.com'))
    await eventually(async () => expect(await row(id)).toMatchObject({ attempts: 1, sending_at: null }))
    await due(id)
    await server().mailTo('space@example.com')
    expect(times).toBe(2)
  })
})

describe('a mail server that breaks off', () => {
  test('before it has the message gets it once', async () => {
    let times = 0
    server().behaviour.onMessage = (socket) => {
      times += 1
      if (times === 1) socket.destroy()
    }
    const [id = ''] = await post(to('broken@example.com'))
    await eventually(async () => expect(await row(id)).toMatchObject({ attempts: 1, leased_until: null }))
    await due(id)
    await server().mailTo('broken@example.com')
    expect(
      server()
        .mails.filter((mail) => mail.to[0] === 'broken@example.com')
        .at(-1)?.messageId,
    ).toContain(id)
  })

  test('after it accepted the message gets the same one, so that the person sees one', async () => {
    let times = 0
    server().behaviour.onKept = (_mail, socket) => {
      times += 1
      if (times === 1) socket.destroy()
    }
    const [id = ''] = await post(to('twice@example.com'))
    await eventually(async () => expect(await row(id)).toMatchObject({ attempts: 1, leased_until: null }))
    expect((await row(id))?.['sending_at']).toBeInstanceOf(Date)
    await due(id)
    await eventually(async () => expect((await row(id))?.['sent_at']).toBeInstanceOf(Date))
    const [first, second] = server().mails.filter((mail) => mail.to[0] === 'twice@example.com')
    expect(second?.raw).toBe(first?.raw)
    expect(second?.messageId).toBe(`<${id}@localhost>`)
  })
})

describe('an outage', () => {
  test('counts against none of the letters, and all of them arrive when the server is back', async () => {
    await server().stop()
    const ids = await post(to('early@example.com'), to('late@example.com'))
    await eventually(async () =>
      expect(await postern.database.query('select last_error from outbox')).toEqual(
        ids.map(() => ({ last_error: expect.stringContaining('ECONNREFUSED') })),
      ),
    )
    expect(await postern.database.query('select 1 from outbox where attempts > 0 or composed_at is not null')).toEqual(
      [],
    )
    mailServer = await startMailServer({ port })
    await Promise.all(['early@example.com', 'late@example.com'].map((address) => server().mailTo(address)))
    expect(server().mails).toHaveLength(2)
  })
})

test('a letter that cannot be composed waits, and does not stop the others', async () => {
  const strange = { kind: 'strange', to: 'x@example.com' } as unknown as Letter
  const [odd = ''] = await post(strange, to('fine@example.com'))
  await server().mailTo('fine@example.com')
  await eventually(async () => expect(await row(odd)).toMatchObject({ attempts: 1, leased_until: null }))
})

describe('the wait after a failure', () => {
  test('doubles from half a minute to an hour, give or take a quarter', () => {
    const minutes = (failures: number, random: number) => waitMs(failures, () => random) / 60_000
    expect([1, 2, 3, 8, 30].map((failures) => minutes(failures, 0.5))).toEqual([0.5, 1, 2, 60, 60])
    expect([minutes(3, 0), minutes(3, 1)]).toEqual([1.5, 2.5])
  })
})
