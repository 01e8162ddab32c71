import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer, connect as dial, type Server } from 'node:net'
import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parse } from '../../src/config/index.ts'
import { connect, type Database } from '../../src/database/connect.ts'
import { assertSuitable, isTooOld } from '../../src/database/requirements.ts'
import { untilReachable } from '../../src/database/waiting.ts'
import { createLogger } from '../../src/log/index.ts'
import { serve } from '../../src/serve.ts'
import { postern as commandLine } from '../support/command-line.ts'
import { createDatabase, type TestDatabase } from '../support/database.ts'
import { environmentFor, freePort } from '../support/postern.ts'

let database: TestDatabase
beforeAll(async () => {
  database = await createDatabase()
})
afterAll(() => database?.drop())

async function connected<T>(url: string, work: (database: Database) => Promise<T>): Promise<T> {
  const opened = connect({ url, poolSize: 2, preparedStatements: true, onError: () => {} })
  try {
    return await work(opened)
  } finally {
    await opened.close()
  }
}

/** Creates a forwarder, which makes the database reachable at another port once it listens. */
function forwarder(): Server {
  const { hostname, port } = new URL(database.url)
  return createServer((socket) => {
    const upstream = dial(Number(port), hostname)
    for (const end of [socket, upstream]) end.on('error', () => {})
    socket.pipe(upstream).pipe(socket)
  })
}

describe('dates', () => {
  test.each(['German, DMY', 'SQL, MDY', 'Postgres, DMY'])(
    'are read correctly in a database whose DateStyle is %s',
    async (style) => {
      const name = new URL(database.url).pathname.slice(1)
      await database.query(`alter database ${name} set datestyle = '${style}'`)
      try {
        const { rows } = await connected(database.url, ({ db }) =>
          sql<{ at: Date }>`select timestamptz '2026-02-03 04:05:06.007Z' as at`.execute(db),
        )
        expect(rows[0]?.at.toISOString()).toBe('2026-02-03T04:05:06.007Z')
      } finally {
        await database.query(`alter database ${name} reset datestyle`)
      }
    },
  )
})

describe('an unsuitable database is refused with advice', () => {
  test('when dates still arrive in another style, as from a pooler', async () => {
    await connected(database.url, ({ db }) =>
      db.connection().execute(async (connection) => {
        await sql`set datestyle = 'German, DMY'`.execute(connection)
        await expect(assertSuitable(connection, { hasToCreate: false })).rejects.toThrow(
          /writes dates as German, DMY.*alter role "\w+" set datestyle = 'ISO'/,
        )
        await sql`set datestyle = 'ISO, DMY'`.execute(connection)
        await assertSuitable(connection, { hasToCreate: false })
      }),
    )
  })

  test('when the role may not create the missing tables', async () => {
    const role = `guest_${randomBytes(4).toString('hex')}`
    await database.query(`create role ${role} login password 'guest'`)
    await database.query('revoke create on schema public from public')
    try {
      const url = Object.assign(new URL(database.url), { username: role, password: 'guest' }).href
      await connected(url, async ({ db }) => {
        await expect(assertSuitable(db, { hasToCreate: true })).rejects.toThrow(
          new RegExp(
            `"${role}" may not create tables in the schema "public".*alter database "\\w+" owner to "${role}";`,
          ),
        )
        await assertSuitable(db, { hasToCreate: false })
      })
    } finally {
      await database.query(`drop role ${role}`)
    }
  })

  test('when its release is too old', () => {
    expect([140_019, 150_000, 180_004].map(isTooOld)).toEqual([true, false, false])
  })

  test('when a pooler refuses the settings of a session', async () => {
    const pooler = createServer((socket) => {
      socket.once('data', () => {
        const fields = 'SFATAL\0C08P01\0Munsupported startup parameter: statement_timeout\0\0'
        const head = Buffer.alloc(5)
        head.write('E')
        head.writeInt32BE(4 + Buffer.byteLength(fields), 1)
        socket.end(Buffer.concat([head, Buffer.from(fields)]))
      })
    }).listen(0, '127.0.0.1')
    await once(pooler, 'listening')
    try {
      const { port } = pooler.address() as { port: number }
      const env = await environmentFor(`postgres://postern@127.0.0.1:${port}/postern`)
      const { code, stderr } = await commandLine(['start'], { env })
      expect(code).toBe(1)
      expect(stderr).toContain('Set DATABASE_PREPARED_STATEMENTS=false')
    } finally {
      pooler.close()
    }
  })
})

describe('a database that is not reachable yet', () => {
  test('is waited for by a server that starts, with a line in the log', async () => {
    const port = await freePort()
    const proxy = forwarder()
    const env = await environmentFor(Object.assign(new URL(database.url), { port: String(port) }).href)
    let lines = 0
    const log = createLogger('warn', {
      write(line) {
        if (line.includes('the database cannot be reached yet') && lines++ === 0) proxy.listen(port, '127.0.0.1')
      },
    })
    const server = await serve(parse(env), { log })
    await server.stop()
    proxy.close()
    expect(lines).toBeGreaterThan(0)
  })

  const unreachable = 'postgres://postern@127.0.0.1:1/postern'
  const waiting = (url: string, seconds: number, signal?: AbortSignal) => {
    let waits = 0
    const onWait = () => {
      waits++
    }
    return connected(url, async ({ db }) => ({
      outcome: await untilReachable(db, { seconds, onWait, signal }).catch((error) => error),
      waits: () => waits,
    }))
  }

  test('is given up after the set time', async () => {
    expect((await waiting(unreachable, 0.5)).outcome).toMatchObject({ code: 'ECONNREFUSED' })
  })

  test('is not waited for with 0, nor where waiting cannot help, as with a wrong name', async () => {
    const other = Object.assign(new URL(database.url), { pathname: '/there_is_none' }).href
    for (const [url, seconds] of [
      [unreachable, 0],
      [other, 60],
    ] as const)
      expect((await waiting(url, seconds)).waits()).toBe(0)
  })

  test('is not waited for once the server is stopped', async () => {
    const stop = new AbortController()
    setTimeout(() => stop.abort(), 100)
    expect((await waiting(unreachable, 60, stop.signal)).outcome).toMatchObject({ name: 'AbortError' })
  })
})
