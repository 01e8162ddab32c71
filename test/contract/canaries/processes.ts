import { existsSync } from 'node:fs'
import { chmod, mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import type { Scene } from '../../support/circulation.ts'
import { freePort } from '../../support/postern.ts'
import type { Channels } from './channels.ts'
import { startServer } from './server-process.ts'

export const commandLines = 'command lines of processes'
export const environments = 'environment of PostgreSQL'
export const databaseLog = 'log of PostgreSQL'

export const hasProc = existsSync('/proc/self/environ')

/** Looks at what every user of the machine can see of a server's processes: several, with an embedded PostgreSQL. */
export async function lookAround({ canaries }: Scene, channels: Channels): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), `postern-${channels.marker(commandLines)}-`))
  await chmod(folder, 0o755)
  const dataDir = join(folder, 'data')
  const key = Buffer.from(canaries.plant('setting: ENCRYPTION_KEYS').slice(-32))
  canaries.collect('setting: ENCRYPTION_KEYS', key.toString('base64'))
  const port = String(await freePort())
  const env = { PORT: port, ISSUER: `http://localhost:${port}`, DATA_DIR: dataDir, WORKERS: '2', LOG_LEVEL: 'trace' }
  const server = startServer({
    ...env,
    ENCRYPTION_KEYS: key.toString('base64'),
    PGPASSWORD: canaries.plant('password of another database'),
  })
  try {
    await server.ready()
    const password = (await readFile(join(dataDir, 'postgresql.password'), 'utf8')).trim()
    canaries.collect('password of the embedded database', password)
    const [pid, , , databasePort] = (await readFile(join(dataDir, 'postgresql', 'postmaster.pid'), 'utf8')).split('\n')
    const client = new pg.Client(`postgres://postern:${password}@127.0.0.1:${databasePort}/postern`)
    await client.connect()
    await client.query(`select '${channels.marker(databaseLog)}'::int`).catch(() => {})
    await client.end()

    for (const name of await readdir('/proc')) {
      if (!/^\d+$/.test(name)) continue
      const words = await readFile(`/proc/${name}/cmdline`, 'utf8').catch(() => '') // it may have ended
      if (words) channels.write(commandLines, words.replaceAll('\0', ' '))
    }
    // PostgreSQL gets its own environment, which includes the language.
    const given = await readFile(`/proc/${pid}/environ`, 'utf8')
    channels.write(environments, given.replace('LC_ALL=C', `LC_ALL=C ${channels.marker(environments)}`))
    channels.write(databaseLog, await readFile(join(dataDir, 'postgresql.log'), 'utf8'))
  } finally {
    server.kill('SIGTERM')
    await server.ended()
    await rm(folder, { recursive: true, force: true })
  }
}
