import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { vi } from 'vitest'
import type { Scene } from '../../support/circulation.ts'
import { freePort } from '../../support/postern.ts'
import { basic } from '../../support/wire.ts'
import type { Channels } from './channels.ts'
import { type Server, startServer } from './server-process.ts'

export const crashes = 'output of a crashing server'
export const reports = 'diagnostic reports'

const accidents = join(import.meta.dirname, 'accidents.ts')
const reporting = [
  '--report-uncaught-exception',
  '--report-on-signal',
  '--report-signal=SIGUSR2',
  '--report-on-fatalerror',
]

/** Ends servers in every possible way, with every report that Node can write then. */
export async function crash(scene: Scene, channels: Channels): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'postern-reports-'))
  const { issuer } = scene.postern // all servers of a database share one: these are processes behind a balancer
  const start = async (...more: string[]): Promise<{ server: Server; address: string }> => {
    const port = String(await freePort())
    const address = `http://localhost:${port}`
    const options = [
      ...reporting,
      ...more,
      `--report-directory=${folder}`,
      `--import=${accidents}`,
      '--max-old-space-size=128',
    ]
    const env = {
      ...scene.postern.env,
      PORT: port,
      ISSUER: issuer,
      TRUSTED_PROXIES: '127.0.0.1,::1',
      LOG_LEVEL: 'trace',
    }
    const args = [`${channels.marker(crashes)}${channels.marker(reports)}`]
    const server = startServer(env, { args, options })
    await server.ready()
    return { server, address }
  }
  const isThere = async () => {
    if ((await readdir(folder)).length === 0) throw new Error('the report is not there')
  }
  try {
    const [first, second, third, fourth] = await Promise.all([start(), start(), start(), start('--report-exclude-env')])
    await knock(scene, first.address)
    first.server.kill('SIGUSR2')
    await vi.waitFor(isThere, { timeout: 120_000, interval: 50 })
    first.server.kill('SIGWINCH')
    second.server.kill('SIGIO')
    for (const { server } of [third, fourth]) server.kill('SIGCONT')
    for (const { server } of [first, second, third, fourth]) channels.write(crashes, await server.ended())
    const written = await readdir(folder)
    // An exhausted heap leaves a report only where the report is certain to lack the environment.
    if (written.length !== 4) throw new Error(`there are ${written.length} reports`)
    for (const name of written) channels.write(reports, await readFile(join(folder, name), 'utf8'))
  } finally {
    await rm(folder, { recursive: true })
  }
}

/** Sends requests with secrets in them, so that some are in memory. */
async function knock({ canaries, client, postern }: Scene, address: string): Promise<void> {
  const secret = canaries.plant('wrong client_secret')
  const body = new URLSearchParams({ grant_type: 'client_credentials' })
  for (const client_secret of [secret, String(client['client_secret'])]) {
    const authorization = basic(client.client_id, client_secret)
    const headers = { authorization, 'x-forwarded-host': new URL(postern.issuer).host }
    await (await fetch(`${address}/oauth/token`, { method: 'POST', headers, body })).text()
  }
}
