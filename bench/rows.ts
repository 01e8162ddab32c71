import pg from 'pg'
import { client } from './people.ts'

const statements = [
  `insert into accounts (id, email, email_canonical, created_at, updated_at)
   select 'filler-' || i, 'filler-' || i || '@example.com', 'filler-' || i || '@example.com', now(), now()
   from generate_series(1, $1::int) i`,
  `insert into grants (id, account_id, client_id, payload, expires_at, created_at, updated_at)
   select 'filler-' || i, 'filler-' || i, '${client.client_id}',
     '{"openid":{"scope":"openid offline_access"},"rejected":{"openid":{}}}', now() + interval '1 year', now(), now()
   from generate_series(1, $1::int) i`,
  `insert into sessions (uid, id_hash, account_id, payload, expires_at, created_at)
   select 'filler-' || i, sha256(('session' || i)::bytea), 'filler-' || i,
     jsonb_build_object('kind', 'Session', 'accountId', 'filler-' || i, 'loginTs', 1), now() + interval '14 days', now()
   from generate_series(1, $1::int) i`,
  `insert into artifacts (id_hash, model, grant_id, family, account_id, client_id, session_uid, payload, expires_at, created_at)
   select sha256(('artifact' || i)::bytea), (array['AccessToken', 'RefreshToken', 'AuthorizationCode'])[1 + i % 3],
     'filler-' || i, 'filler-' || i, 'filler-' || i, '${client.client_id}', 'filler-' || i,
     jsonb_build_object('iat', 1, 'exp', 2, 'accountId', 'filler-' || i, 'scope', 'openid offline_access', 'gty',
       'authorization_code', 'kind', 'AccessToken', 'clientId', '${client.client_id}', 'grantId', 'filler-' || i),
     now() + interval '14 days', now()
   from generate_series(1, $1::int) i`,
  `insert into audit_events (occurred_at, type, account_id, client_id)
   select now(), 'filler', 'filler-' || i, '${client.client_id}' from generate_series(1, $1::int) i`,
]

/**
 * Puts so many rows into each table that grows with use, as the engine would have left them. Each person has a grant, a
 * session, and codes and tokens that are still live: neither the sweep nor an index of dead rows hides them.
 */
export async function fill(databaseUrl: string, rows: number): Promise<void> {
  const database = new pg.Client({ connectionString: databaseUrl })
  await database.connect()
  try {
    for (const statement of statements) await database.query(statement, [rows])
    await database.query('vacuum (analyze)')
    await database.query('checkpoint')
  } finally {
    await database.end()
  }
}
