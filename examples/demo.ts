import '../src/runtime.ts'
import { createServer } from 'node:net'
import { parse } from '../src/config/index.ts'
import { createLogger } from '../src/log/index.ts'
import { serve } from '../src/serve.ts'
import { register } from './registrations.ts'
import { start as startRelyingParty } from './relying-party/app.ts'
import { start as startResourceServer } from './resource-server/app.ts'

// Starts a provider with all registrations that the examples need, and the first two examples.

const host = '127.0.0.1'
const repeatedSignalMs = 1_000 // npm passes on the Ctrl-C that the terminal already sent

/** Starts the demo. Returns a function that stops it. If a part cannot start, the parts already started are stopped. */
async function start(): Promise<() => Promise<void>> {
  const { PORT, RELYING_PARTY_PORT, RESOURCE_SERVER_PORT, DATA_DIR, LOG_LEVEL } = process.env
  const ports = {
    PORT: PORT || '3000',
    RELYING_PARTY_PORT: RELYING_PARTY_PORT || '4000',
    RESOURCE_SERVER_PORT: RESOURCE_SERVER_PORT || '4100',
  }
  for (const [name, port] of Object.entries(ports)) await assertFree(name, port)
  const issuer = `http://localhost:${ports.PORT}`
  const baseUrl = `http://localhost:${ports.RELYING_PARTY_PORT}`
  const resource = `http://localhost:${ports.RESOURCE_SERVER_PORT}/api`
  // The rest of the environment is ignored: the demo must not create its account in the database of a real deployment.
  const config = parse({
    PORT: ports.PORT,
    ISSUER: issuer,
    HOST: host,
    DATA_DIR: DATA_DIR || '.data/demo',
    LOG_LEVEL: LOG_LEVEL || 'warn',
  })

  const stops: (() => unknown)[] = []
  const stop = async () => {
    for (const each of stops.reverse()) await each()
  }
  try {
    process.stdout.write('Starting a provider with a database of its own. The first time takes a few seconds …\n')
    const server = await serve(config, { log: createLogger(config.LOG_LEVEL) })
    stops.push(server.stop)
    const place = { dataDir: config.DATA_DIR, issuer, baseUrl, resource }
    const { account, relyingParty, resourceServer } = await register(server.postern, place)
    const api = await startResourceServer({
      ...credentials(resourceServer),
      resource,
      host,
      port: Number(ports.RESOURCE_SERVER_PORT),
    })
    stops.push(api.stop)
    const app = await startRelyingParty({
      ...credentials(relyingParty),
      baseUrl,
      apiUrl: resource,
      host,
      port: Number(ports.RELYING_PARTY_PORT),
    })
    stops.push(app.stop)
    const dir = config.DATA_DIR
    process.stdout.write(`
  Open      ${baseUrl}
  Sign in   ${account['EMAIL']}
  Password  ${account['PASSWORD']}

The provider is at ${issuer}, the API at ${resource}/protected. In another terminal:
  npx node --env-file=${dir}/machine.env examples/machine/main.ts   a machine calls the API
  npx node --env-file=${dir}/device.env examples/device/main.ts     sign in from a terminal

Ctrl-C stops everything. The data stays in ${dir}; delete that folder to start over.
`)
    return stop
  } catch (error) {
    await stop()
    throw error
  }
}

function credentials({ ISSUER = '', CLIENT_ID = '', CLIENT_SECRET = '' }: Record<string, string>) {
  return { issuer: ISSUER, clientId: CLIENT_ID, clientSecret: CLIENT_SECRET }
}

/** Checks a port before anything starts, so that nothing has to be undone. */
function assertFree(name: string, port: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const problem = (what: string) => new Error(`Port ${port} ${what}. Set ${name} to another one.`)
    if (!/^\d+$/.test(port) || Number(port) < 1 || Number(port) > 65_535) return reject(problem('is not a valid port'))
    const probe = createServer()
    probe.once('error', ({ code }: NodeJS.ErrnoException) =>
      reject(problem(code === 'EADDRINUSE' ? 'is in use' : `may not be used (${code})`)),
    )
    probe.listen(Number(port), host, () => probe.close(() => resolve()))
  })
}

const starting = start()
let stoppingSince: number | undefined

async function stopAndExit(): Promise<void> {
  if (stoppingSince !== undefined) {
    if (Date.now() - stoppingSince > repeatedSignalMs) process.exit(1) // a second signal: exit at once
    return
  }
  stoppingSince = Date.now()
  const stop = await starting.catch(() => undefined)
  await stop?.()
  process.exit()
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, stopAndExit)

starting.catch((error) => {
  process.stderr.write(`The demo could not start. ${error instanceof Error ? error.message : error}\n`)
  process.exitCode = 1
})
