import type { ColumnType, Generated, GeneratedAlways } from 'kysely'

type Json = ColumnType<Record<string, unknown>, string, string>
type Moment = Date

/** The tables of accounts and of everything that their owners sign in with. */
export type PeopleSchema = {
  accounts: {
    id: string
    email: string
    email_canonical: string
    email_verified: boolean
    profile: Json
    groups: GeneratedAlways<string[]>
    epoch: Generated<number>
    terms_version: string | null
    terms_accepted_at: Moment | null
    disabled_at: Moment | null
    deletion_at: Generated<Moment | null>
    second_factor_due_at: Generated<Moment | null>
    created_at: Moment
    updated_at: Moment
  }
  password_credentials: {
    account_id: string
    hash: string
    change_required_at: Moment | null
    updated_at: Moment
  }
  confirmations: {
    id_hash: Buffer
    purpose: string
    account_id: string | null
    account_epoch: number | null
    account_email: string | null
    email: string
    browser_hash: Buffer | null
    code_hash: Buffer | null
    attempts: Generated<number>
    data_sealed: string | null
    created_at: Moment
    expires_at: Moment
    redeemed_at: Moment | null
  }
  directory_accounts: {
    account_id: string
    entry_id: string
    groups: string[]
    checked_at: Moment
    gone_at: Moment | null
  }
  totp_secrets: {
    account_id: string
    secret_sealed: string
    last_step: ColumnType<string, number, number>
    created_at: Moment
    confirmed_at: Moment | null
    last_used_at: Moment | null
  }
  recovery_codes: { code_hash: Buffer; account_id: string; created_at: Moment; used_at: Moment | null }
  remembered_devices: {
    id_hash: Buffer
    account_id: string
    account_epoch: number
    user_agent: string | null
    created_at: Moment
    expires_at: Moment
  }
  passkeys: {
    id: string
    account_id: string
    credential_id: Buffer
    public_key: Buffer
    user_handle: Buffer
    counter: ColumnType<string, number, number>
    name: string
    transports: string[]
    aaguid: string
    backup_eligible: boolean
    backed_up: boolean
    created_at: Moment
    last_used_at: Moment | null
  }
  challenges: {
    id_hash: Buffer
    purpose: string
    browser_hash: Buffer
    origin: string
    account_id: string | null
    account_epoch: number | null
    user_handle: Buffer | null
    expires_at: Moment
    redeemed_at: Moment | null
  }
  address_changes: { account_id: string; email: string; requested_at: Moment; expires_at: Moment }
}
