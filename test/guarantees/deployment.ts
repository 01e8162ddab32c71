import { inject } from 'vitest'
import { operations } from '../../src/admin/operations/index.ts'
import { adminScopes } from '../../src/oidc/admin-resource.ts'
import * as resourceServers from '../../src/stores/clients/resource-servers.ts'
import * as accounts from '../../src/stores/people/accounts.ts'
import { type Answer, call, type Reachable, token } from '../concurrency/journey.ts'
import { type DatabaseProxy, type HeldStatement, startProxy } from '../faults/proxy.ts'
import { password } from '../support/postern.ts'
import { type Fleet, type ServerProcess, startFleet } from '../support/processes.ts'

/** A server process, and the means to hold its writes on their way to the database. */
export type Post = {
  server: ServerProcess
  /** Runs `work` while the next write that carries one of these marks is held. Each process holds one at a time. */
  holding<T>(marks: (string | Buffer)[], work: (held: HeldStatement) => Promise<T>): Promise<T>
}

/** Two processes on one database, with enough accounts and clients for every cell, and an administrator. */
export type Deployment = {
  fleet: Fleet
  posts: [Post, Post]
  createAccount(email: string): Promise<string>
  /** Takes an API that both processes know: all are registered before the first request, since lists are cached. */
  takeApi(): string
  /** The client as which the APIs introspect their tokens. */
  apiClient: Awaited<ReturnType<Fleet['createClient']>>
  /** A client without anyone's consent, which can tell whether a browser has a session. */
  stranger: Awaited<ReturnType<Fleet['createClient']>>
  /** Runs an administrator's operation over HTTP. */
  administer(at: Reachable, command: string, input: Record<string, unknown>): Promise<Answer>
  stop(): Promise<void>
}

export const apiScopes = { read: 'Read your notes', write: 'Change your notes' }
/** How long a process may remember a client or an API (docs/operations.md), plus a margin. */
export const stalenessMs = 5_500

/** Starts the deployment, with this many APIs registered. */
export async function deploy({ apis }: { apis: number }): Promise<Deployment> {
  const proxies = await Promise.all([startProxy(inject('postgresUrl')), startProxy(inject('postgresUrl'))])
  const settings = { TRUSTED_PROXIES: '127.0.0.1/32', SIGN_IN_BY_CODE: 'true' } // each cell has its own address, as some limits count by address
  const fleet = await startFleet(settings, 2, (url, index) => proxies[index]?.urlOf(url) ?? url)
  const { db } = fleet.operator.database
  const machine = { redirect_uris: [], response_types: [], grant_types: ['client_credentials'] }
  const apiClient = await fleet.createClient(machine)
  const stranger = await fleet.createClient()
  await db.transaction().execute(async (tx) => {
    for (let number = 0; number < apis; number++) await resourceServers.save(tx, apiOf(number, apiClient.client_id))
  })
  const passwordHash = await fleet.operator.passwords.hash(password)

  const scope = Object.keys(adminScopes).join(' ')
  const administrator = await fleet.createClient({ ...machine, scope })
  const form = { grant_type: 'client_credentials', scope, resource: `${fleet.issuer}/admin/api` }
  const { json } = await token(fleet.processes[0], administrator, form)
  const bearer = String(json['access_token'])
  let taken = 0

  return {
    fleet,
    posts: [post(fleet.processes[0], proxies[0]), post(fleet.processes[1], proxies[1])],
    apiClient,
    stranger,
    takeApi: () => apiOf(taken++ % apis, '').identifier,
    async createAccount(email) {
      const account = { email, emailVerified: true, profile: { name: 'Ada' }, passwordHash }
      const created = await db.transaction().execute((tx) => accounts.create(tx, account))
      if (created === 'email-taken') throw new Error(`${email} is taken`)
      return created.id
    },
    async administer(at, command, input) {
      const operation = operations().find(({ noun, verb }) => `${noun} ${verb}` === command)
      if (!operation) throw new Error(`there is no ${command}`)
      const { method, path } = operation.http
      const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => name)
      const address = path.replace(/\{(\w+)\}/g, (_, name) => encodeURIComponent(String(input[name])))
      const body = Object.fromEntries(Object.entries(input).filter(([name]) => !inPath.includes(name)))
      const isSaid = Object.keys(body).length > 0
      const query = isSaid && method === 'GET' ? `?${new URLSearchParams(body as Record<string, string>)}` : ''
      const json = isSaid && method !== 'GET' ? { json: body } : {}
      const answer = await call(at, `/admin/api${address}${query}`, { method, token: bearer, ...json })
      if (answer.status >= 300) throw new Error(`${command} failed: ${answer.status} ${answer.text}`)
      return answer
    },
    async stop() {
      await fleet.stop()
      for (const proxy of proxies) await proxy.close()
    },
  }
}

function apiOf(number: number, clientId: string): resourceServers.ResourceServer {
  return {
    identifier: `https://api-${number}.example/`,
    name: `Notes ${number}`,
    scopes: apiScopes,
    tokenFormat: 'opaque',
    tokenTtlSeconds: undefined,
    clientId,
  }
}

// A write that issues, approves or parks something: the statement of stages, or one that changes a single artifact.
const isWrite = (statement: string) => /winners as|update "artifacts"/.test(statement)

function post(server: ServerProcess, proxy: DatabaseProxy): Post {
  let last: Promise<unknown> = Promise.resolve()
  return {
    server,
    holding(marks, work) {
      const run = async () => {
        const held = proxy.hold((statement, bytes) => isWrite(statement) && marks.some((mark) => bytes.includes(mark)))
        try {
          return await work(held)
        } finally {
          held.release()
        }
      }
      const result = last.then(run, run)
      last = result.catch(() => {})
      return result
    },
  }
}
