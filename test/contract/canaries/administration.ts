import { operations } from '../../../src/admin/operations/index.ts'
import { call } from '../../support/admin.ts'
import type { Scene } from '../../support/circulation.ts'
import { operate } from '../../support/operator.ts'
import type { Channels } from './channels.ts'

export const shown = 'admin API: everything readable'
export const rows = 'rows of the audit'

/** Reads everything that administrators can read, and every audit event about it. */
export async function readAll({ postern, email }: Scene, channels: Channels, bearer: string): Promise<void> {
  const [client_id, identifier] = [channels.marker(shown), 'https://read.example/']
  await operate(postern, 'client create', { client_id, redirect_uris: ['https://rp.example/cb'] })
  await operate(postern, 'client create', {
    client_id: channels.marker(rows),
    redirect_uris: ['https://rp.example/cb'],
  })
  await operate(postern, 'resource create', { identifier, scopes: { read: 'Read' } })
  await operate(postern, 'upstream create', { id: 'read', issuer: 'https://read.example', client_id: 'postern' })
  // Many requests of the scene were rejected, and are stored with the reason by now.
  const [refused] = await postern.database.query('select request_id from refused_requests limit 1')
  const request_id = String(refused?.['request_id'])
  const fields: Record<string, string> = {
    ...{ account: email, client_id, identifier, name: 'default', request_id },
    id: 'read', // of an upstream provider
  }

  for (const { http, input, noun, verb } of operations()) {
    if (http.method !== 'GET') continue
    const path = http.path.replace(/\{(\w+)\}/g, (_, name) => encodeURIComponent(String(fields[name])))
    const query = 'limit' in input.shape ? '?limit=1000' : 'all' in input.shape ? '?all=true' : ''
    const { status, headers, text } = await call(postern, path + query, { bearer })
    if (status !== 200) throw new Error(`${noun} ${verb}: ${text}`)
    channels.write(shown, `${noun} ${verb}\n${[...headers].join('\n')}\n${text}`)
  }
  channels.write(shown, (await call(postern, '/openapi.json', {})).text)
  for (const { row } of await postern.database.query('select t::text as row from audit_events t')) {
    channels.write(rows, String(row))
  }
}
