import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import type { TestDatabase } from '../support/database.ts'

/** A point where transactions of the server stop. */
export type Hold = {
  /** Resolves when a transaction waits there, with the application name of its connection. */
  reached(): Promise<string>
  /** Lets the waiting transactions continue, and all later ones pass. */
  release(): Promise<void>
}

/** A point to hold at: a trigger's event, and its condition on the row. */
export type Point = { before: string; when: string }

const patienceMs = 120_000
let lockId = 0x686f6c64 // "hold"; each hold has its own lock, so a leftover trigger stops nothing

/** Stops transactions just before they write such a row, until the test releases them. */
export async function hold(database: TestDatabase, { before, when }: Point): Promise<Hold> {
  const id = ++lockId
  const client = new pg.Client({ connectionString: database.url })
  await client.connect()
  await client.query(`select pg_advisory_lock(${id})`)
  await client.query(`
    create or replace function hold_up() returns trigger language plpgsql as $$
    begin
      perform pg_advisory_xact_lock(tg_argv[0]::bigint);
      return new;
    end $$;
    create trigger hold_up_${id} before ${before} for each row when (${when}) execute function hold_up(${id})`)

  return {
    async reached() {
      for (const deadline = Date.now() + patienceMs; Date.now() < deadline; await sleep(10)) {
        const { rows } = await client.query(
          `select application_name from pg_locks join pg_stat_activity using (pid)
           where locktype = 'advisory' and objid = ${id} and not granted`,
        )
        if (rows[0]) return rows[0].application_name
      }
      throw new Error(`nobody came to ${before} when ${when}`)
    },
    release: () => client.end(),
  }
}
