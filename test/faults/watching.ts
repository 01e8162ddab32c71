import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import type { ClientMetadata } from '../../src/stores/clients/clients.ts'
import { authorizationRequest, type Reachable, redeem, token } from '../concurrency/journey.ts'
import { createCachingRelyingParty } from '../support/caching-relying-party.ts'
import type { Visitor } from '../support/visitor.ts'
import type { Balancer } from './balancer.ts'

/** A continuous watch for states that must never occur. */
export type Watching = { wrongs: string[]; readonly seen: number; stop(): Promise<void> }

function watching(
  look: (wrongs: string[]) => Promise<number>,
  { pauseMs, end }: { pauseMs: number; end?: () => Promise<void> },
): Watching {
  const wrongs: string[] = []
  let [isOver, seen] = [false, 0]
  const running = (async () => {
    while (!isOver) {
      seen += await look(wrongs)
      await sleep(pauseMs)
    }
  })()
  return {
    wrongs,
    get seen() {
      return seen
    },
    async stop() {
      isOver = true
      await running
      await end?.()
    },
  }
}

/** Checks for each purpose that exactly one key is active and at most one is next. */
export async function watchKeyTable(databaseUrl: string): Promise<Watching> {
  const client = new pg.Client({ connectionString: databaseUrl })
  await client.connect()
  async function look(wrongs: string[]): Promise<number> {
    const { rows } = await client.query(
      `select purpose, count(*) filter (where state = 'active')::int as active,
         count(*) filter (where state in ('pending', 'published'))::int as next
       from keys group by purpose`,
    )
    for (const { purpose, active, next } of rows) {
      if (active !== 1 || next > 1) wrongs.push(`${purpose}: ${active} active, ${next} next`)
    }
    return 1
  }
  return watching(look, { pauseMs: 3, end: () => client.end() })
}

export type TokenSources = {
  issuer: string
  balancer: Balancer
  /** Signed in, and known to all clients. */
  browser: Visitor
  clients: ClientMetadata[]
  /** The client that gets JWT access tokens for itself; `resource` is their audience. */
  machine: ClientMetadata
  resource: string
  cacheSeconds: number
}

/**
 * Obtains tokens, and verifies them as relying parties that cache the keys do. A request that was under way when a
 * process was lost may bring no token, but each token received must be valid.
 */
export function watchTokens({
  issuer,
  balancer,
  browser,
  clients,
  machine,
  resource,
  cacheSeconds,
}: TokenSources): Watching {
  const server: Reachable = { issuer, fetch: balancer.fetch }
  const relyingParties = [0, 1].map(() => createCachingRelyingParty({ issuer, fetch: balancer.fetch, cacheSeconds }))
  let round = 0

  async function* tokens(client: ClientMetadata): AsyncGenerator<string> {
    const granted = await token(server, machine, { grant_type: 'client_credentials', scope: 'read', resource })
    if (granted.status !== 200) throw new Error(granted.text)
    yield String(granted.json['access_token'])
    const { path, verifier } = authorizationRequest(client)
    const { url } = await browser.get(path)
    const answer = await redeem(server, client, { code: String(new URL(url).searchParams.get('code')), verifier })
    if (answer.status !== 200) throw new Error(`${url} led to ${answer.text}`)
    yield String(answer.json['id_token'])
  }

  async function look(wrongs: string[]): Promise<number> {
    const lossesBefore = balancer.losses
    const received: string[] = []
    try {
      for await (const jwt of tokens(clients[round++ % clients.length] ?? machine)) received.push(jwt)
    } catch (error) {
      if (balancer.losses === lossesBefore) wrongs.push(`no token came: ${error}`)
    }
    for (const jwt of received) {
      for (const relyingParty of relyingParties) {
        await relyingParty.verify(jwt).catch((error) => wrongs.push(`a token was refused: ${error}`))
      }
    }
    return received.length
  }
  return watching(look, { pauseMs: 50 })
}
