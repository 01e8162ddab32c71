import type { ColumnType } from 'kysely'

type Json = ColumnType<Record<string, unknown>, string, string>
type Moment = Date

/** The tables about providers elsewhere that people may sign in with. */
export type UpstreamTables = {
  upstream_providers: {
    id: string
    preset: string
    settings: Json
    secret_sealed: string | null
    authority_domains: string[]
    disabled_at: Moment | null
    created_at: Moment
    updated_at: Moment
  }
  identities: {
    provider_id: string
    issuer: string
    subject: string
    account_id: string
    claims: Json
    linked_at: Moment
    last_used_at: Moment
  }
  upstream_requests: {
    state_hash: Buffer
    provider_id: string
    browser_hash: Buffer
    interaction: string | null
    account_id: string | null
    account_epoch: number | null
    session_uid: string | null
    sealed: string
    expires_at: Moment
    redeemed_at: Moment | null
    finished_at: Moment | null
  }
}
