import { decodeJwt, decodeProtectedHeader } from 'jose'
import type { Db } from '../../src/database/schema.ts'
import { settlingMs } from '../../src/keys/life-cycle.ts'
import * as keys from '../../src/stores/keys/keys.ts'

/** The times of a request and of its answer. */
export type Span = { askedAt: number; answeredAt: number }

type Entry = { tokens: number; firstIat: number; lastIat: number; whenSigned: Map<string, number>; lateByMs: number }

/** A record of what each key signed, checked against the database. */
export type KeyLedger = {
  /** Records a token. Throws if its key should not have signed it. */
  enter(jwt: string, span: Span): Promise<keys.Key>
  /** Returns the keys that have signed something. */
  kids(): Set<string>
  /** Prints a line for each key: its life in seconds since `startedAt`, and what it signed. */
  table(startedAt: number): Promise<string>
}

/** @param cacheMs how long relying parties remember keys */
export function createKeyLedger(db: Db, cacheMs: number): KeyLedger {
  const entries = new Map<string, Entry>()

  return {
    kids: () => new Set(entries.keys()),

    async enter(jwt, { askedAt, answeredAt }) {
      const { kid, alg } = decodeProtectedHeader(jwt)
      const { iat = 0 } = decodeJwt(jwt)
      const key = (await keys.list(db)).find(({ id, purpose }) => id === kid && purpose === alg)
      if (!key) throw new Error(`there is no ${alg} key ${kid}`)
      const { activeAt, publishedAt, createdAt, retiredAt } = key
      if (!activeAt || activeAt.getTime() > answeredAt) throw new Error(`${kid} signs, and is ${key.state}`)
      const lateByMs = Math.max(0, askedAt - (retiredAt?.getTime() ?? askedAt))
      // Until then a process may not have heard of the change.
      if (lateByMs >= settlingMs) throw new Error(`${kid} signed ${lateByMs} ms after it was retired`)
      const isFirst = activeAt.getTime() === createdAt.getTime()
      const announcedAt = Math.floor(((publishedAt?.getTime() ?? Number.NaN) + cacheMs) / 1000)
      if (!isFirst && !(announcedAt <= iat)) throw new Error(`${kid} signed at ${iat}, known to all at ${announcedAt}`)

      const isRetiredMeanwhile = retiredAt && retiredAt.getTime() >= askedAt && retiredAt.getTime() <= answeredAt
      const state = lateByMs > 0 ? 'retired' : isRetiredMeanwhile ? 'being retired' : 'active'
      const entry = entries.get(key.id) ?? { tokens: 0, firstIat: iat, lastIat: iat, whenSigned: new Map(), lateByMs }
      entries.set(key.id, entry)
      entry.tokens += 1
      entry.firstIat = Math.min(entry.firstIat, iat)
      entry.lastIat = Math.max(entry.lastIat, iat)
      entry.lateByMs = Math.max(entry.lateByMs, lateByMs)
      entry.whenSigned.set(state, (entry.whenSigned.get(state) ?? 0) + 1)
      return key
    },

    async table(startedAt) {
      const seconds = (at: Date | number | undefined) =>
        at === undefined ? '–' : ((Number(at) - startedAt) / 1000).toFixed(1)
      const known = (await keys.list(db)).toSorted((a, b) => a.purpose.localeCompare(b.purpose))
      const rows = known.map((key) => {
        const entry = entries.get(key.id)
        const states = [...(entry?.whenSigned ?? [])].map(([state, count]) => `${state} ${count}×`)
        if (entry?.lateByMs) states.push(`at most ${entry.lateByMs} ms late`)
        return [
          key.id,
          key.purpose,
          key.state,
          ...[key.createdAt, key.publishedAt, key.activeAt, key.retiredAt].map(seconds),
          String(entry?.tokens ?? '–'),
          ...[entry?.firstIat, entry?.lastIat].map((iat) => seconds(iat === undefined ? undefined : iat * 1000)),
          states.join(', ') || '–',
        ]
      })
      return aligned([
        'kid, purpose, now, created, published, active, retired, tokens, first iat, last iat, when it signed'.split(
          ', ',
        ),
        ...rows,
      ])
    },
  }
}

function aligned(rows: string[][]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  return rows.map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ')).join('\n')
}
