import type { ColumnType, Generated, GeneratedAlways, Kysely, Selectable, Transaction } from 'kysely'
import type { PeopleSchema } from './people-schema.ts'
import type { UpstreamTables } from './upstream-tables.ts'

type Json = ColumnType<Record<string, unknown>, string, string>
type Moment = Date

export type Schema = PeopleSchema &
  UpstreamTables & {
    clients: {
      id: string
      metadata: Json
      secret_sealed: string | null
      dynamic: boolean
      document: Generated<boolean>
      policy: string | null
      registration_token_id: string | null
      previous_secret_sealed: string | null
      previous_secret_expires_at: Moment | null
      credential_version: Generated<number>
      last_used_at: Moment | null
      expires_at: Moment | null
      unused_expires_at: Moment | null
      disabled_at: Moment | null
      deleted_at: Moment | null
      built_in: Generated<boolean>
      created_at: Moment
      updated_at: Moment
    }
    client_logos: {
      client_id: string
      uri: string
      hash: string | null
      type: string | null
      image: Buffer | null
      fetched_at: Moment
    }
    registration_policies: { name: string; rules: Json; created_at: Moment; updated_at: Moment }
    registration_tokens: {
      id: string
      token_hash: Buffer
      policy: string
      max_uses: number | null
      uses: Generated<number>
      expires_at: Moment
      revoked_at: Moment | null
      created_at: Moment
    }
    resource_servers: {
      identifier: string
      name: string
      scopes: Json
      token_format: string
      token_ttl_seconds: number | null
      client_id: string | null
      owns_client: Generated<boolean>
      token_type_header: Generated<string>
      serves_userinfo: Generated<boolean>
      scope_texts: Json
      created_at: Moment
      updated_at: Moment
    }
    grants: {
      id: string
      account_id: string
      client_id: string
      payload: Json
      shown: Json
      expires_at: Moment
      last_used_at: Generated<Moment | null>
      created_at: Moment
      updated_at: Moment
    }
    sessions: {
      uid: string
      id_hash: Buffer
      previous_id_hash: Buffer | null
      account_id: string | null
      payload: Json
      authorizations: Json
      expires_at: Moment
      destroyed_at: Moment | null
      user_agent: string | null
      first_address: string | null
      last_address: string | null
      last_seen_at: Moment | null
      created_at: Moment
    }
    artifacts: {
      id_hash: Buffer
      model: string
      grant_id: string | null
      family: string | null
      account_id: string | null
      client_id: string | null
      session_uid: string | null
      user_code_hash: Buffer | null
      payload: Json
      expires_at: Moment | null
      consumed_at: Moment | null
      destroyed_at: Moment | null
      created_at: Moment
    }
    replays: { id_hash: Buffer; expires_at: Moment }
    keys: {
      id: string
      purpose: string
      state: string
      sealed: string | null
      public_jwk: Json | null
      service_reference: string | null
      created_at: Moment
      published_at: Moment | null
      active_at: Moment | null
      retired_at: Moment | null
      removed_at: Moment | null
      revoked_at: Moment | null
      rotation_requested_at: Moment | null
    }
    encryption_keys: { id: string; created_at: Moment }
    audit_events: {
      id: GeneratedAlways<string>
      occurred_at: Moment
      type: string
      account_id: string | null
      client_id: string | null
      grant_id: string | null
      request_id: string | null
      address: string | null
      actor: string | null
      resource: string | null
      details: Json
      expires_at: Moment | null
    }
    idempotency_keys: {
      key_hash: Buffer
      request_hash: Buffer
      response_sealed: string | null
      created_at: Moment
      expires_at: Moment
    }
    outbox: {
      id: string
      kind: string
      recipient: string
      sealed: string | null
      created_at: Moment
      composed_at: Moment | null
      next_attempt_at: Moment
      deadline_at: Moment
      claims: Generated<number>
      attempts: Generated<number>
      leased_until: Moment | null
      sending_at: Moment | null
      sent_at: Moment | null
      failed_at: Moment | null
      last_error: string | null
      expires_at: Moment
    }
    refused_requests: {
      request_id: string
      occurred_at: Moment
      client_id: string | null
      method: string
      path: string
      status: number
      reason: Json
      expires_at: Moment
    }
    throttles: { key_hash: Buffer; failures: number; blocked_until: Moment; expires_at: Moment }
  }

/** Some columns of a table's row, as a query returns them. */
export type Row<Table extends keyof Schema, Column extends keyof Selectable<Schema[Table]>> = Pick<
  Selectable<Schema[Table]>,
  Column
>

/** A database or a transaction on it. */
export type Db = Kysely<Schema>
/** A transaction, where running outside one would be wrong. */
export type Tx = Transaction<Schema>
