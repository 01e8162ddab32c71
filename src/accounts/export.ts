import type { Db } from '../database/schema.ts'
import * as audit from '../stores/operations/audit.ts'
import * as outboxRecords from '../stores/operations/outbox-records.ts'
import type { Account } from '../stores/people/accounts.ts'
import * as passkeys from '../stores/people/passkeys.ts'
import * as storedDetails from '../stores/people/stored-details.ts'
import * as grants from '../stores/protocol/grants.ts'
import * as sessions from '../stores/protocol/sessions.ts'

const pageSize = 1_000

/**
 * Returns everything that is stored about the owner of an account, in names that do not change. It contains neither a
 * password hash nor a value that signs anybody in.
 */
export async function collect(db: Db, account: Account): Promise<Record<string, unknown>> {
  const { id, email, emailVerified, profile, terms, updatedAt } = account
  const [live, given, events, keys, stored, mails] = await Promise.all([
    sessions.listByAccount(db, id),
    grants.list(db, { accountId: id, clientId: undefined, after: undefined, limit: pageSize }),
    allEvents(db, id),
    passkeys.listByAccount(db, id),
    storedDetails.find(db, id),
    outboxRecords.list(db, { recipient: email, limit: pageSize }),
  ])
  const { password, addressChange, directory, confirmations, identities } = stored
  return {
    exported_at: new Date(),
    account: {
      sub: id,
      email,
      email_verified: emailVerified,
      terms: terms && { version: terms.version, accepted_at: terms.acceptedAt },
      created_at: stored.createdAt,
      updated_at: updatedAt,
    },
    claims: profile,
    password: password && { changed_at: password.changedAt, change_required_at: password.changeRequiredAt },
    address_change: addressChange && {
      email: addressChange.email,
      requested_at: addressChange.requestedAt,
      expires_at: addressChange.expiresAt,
    },
    directory: directory && {
      entry: directory.entryId,
      groups: directory.groups,
      checked_at: directory.checkedAt,
    },
    linked_accounts: identities.map(({ providerId, issuer, subject, claims, linkedAt, lastUsedAt }) => ({
      provider: providerId,
      issuer,
      subject,
      claims,
      linked_at: linkedAt,
      last_used_at: lastUsedAt,
    })),
    // The link that undoes a change of address names the earlier address.
    confirmations: confirmations.map((sent) => ({
      purpose: sent.purpose,
      email: sent.email,
      created_at: sent.createdAt,
      expires_at: sent.expiresAt,
      used_at: sent.redeemedAt,
    })),
    mails: mails.map(({ kind, recipient, createdAt, sentAt }) => ({
      kind,
      to: recipient,
      requested_at: createdAt,
      sent_at: sentAt,
    })),
    passkeys: keys.map((passkey) => ({
      name: passkey.name,
      credential_id: passkey.credentialId.toString('base64url'),
      synced: passkey.isBackupEligible,
      authenticator: passkey.aaguid,
      created_at: passkey.createdAt,
      last_used_at: passkey.lastUsedAt,
    })),
    sessions: live.map((session) => ({
      signed_in_at: session.createdAt,
      last_used_at: session.lastSeenAt,
      expires_at: session.expiresAt,
      user_agent: session.userAgent,
      first_address: session.firstAddress,
      last_address: session.lastAddress,
      client_ids: session.clientIds,
    })),
    apps: given.map(({ clientId, createdAt, lastUsedAt, payload, shown }) => ({
      client_id: clientId,
      since: createdAt,
      last_used_at: lastUsedAt,
      granted: { openid: payload['openid'], resources: payload['resources'] },
      denied: payload['rejected'],
      shown_as: shown,
    })),
    activity: events.map((event) => ({
      type: event.type,
      at: event.occurredAt,
      by: event.actor === undefined ? 'you' : 'an administrator',
      address: event.actor === undefined ? event.address : undefined,
      client_id: event.clientId,
      client_name: event.clientName,
      details: event.details,
    })),
  }
}

async function allEvents(db: Db, accountId: string): Promise<audit.RecordedEvent[]> {
  const events: audit.RecordedEvent[] = []
  for (;;) {
    const page = await audit.list(db, { accountId, before: events.at(-1)?.id, limit: pageSize })
    events.push(...page)
    if (page.length < pageSize) return events
  }
}
