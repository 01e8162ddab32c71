/** Every type of audit event, with a description. docs/audit-events.md is generated from it. */
export const eventTypes = {
  'account.created': 'An administrator created an account.',
  'account.signed_up':
    'Somebody created an account of their own and proved its address; `terms` is the version of the terms that they accepted.',
  'account.updated':
    'A person, an administrator or the directory changed the email address or claims of an account; `changed` names them.',
  'account.password_set':
    'An administrator set the password of an account, which signed it out everywhere; `must_change` means that the person has to choose another.',
  'account.password_change_required':
    'An administrator requires another password, which the person has to choose at the next sign-in.',
  'account.signed_out': 'An administrator ended all sessions and tokens of an account.',
  'account.group_added': 'An administrator added an account to a group; `group` names it.',
  'account.group_removed': 'An administrator removed an account from a group; `group` names it.',
  'account.invited': 'An administrator invited somebody to an account; `again` says that it was not the first time.',
  'account.password_changed':
    'Somebody chose a password for their account; `origin` says how, and `signed_out` whether it ended other sign-ins.',
  'account.password_removed':
    'Somebody proved the address of an account for the first time, by a code or link to sign in, which removed its password and ended other sign-ins.',
  'account.terms_accepted': 'Somebody accepted the terms; `terms` is their version.',
  'account.passkey_added': 'Somebody added a passkey to their account; `passkey` and `name` describe it.',
  'account.passkey_renamed': 'Somebody gave a passkey of their account another name; `passkey` and `name` describe it.',
  'account.passkey_removed':
    'A passkey was removed from an account; `passkey` and `name` describe it, and `signed_out` says whether it ended other sign-ins.',
  'account.passkey_copied':
    'A passkey was refused because its counter went back: somebody has a copy of its authenticator.',
  'account.totp_added': 'Somebody added an authenticator app to their account and entered its first code.',
  'account.totp_removed':
    'The authenticator app of an account was removed, with its recovery codes and remembered browsers.',
  'account.recovery_codes_renewed': 'Somebody made new recovery codes for their account, which ended the earlier ones.',
  'account.identity_linked':
    'An account at an upstream provider was linked to an account; `provider`, `issuer` and `subject` name it, and `by` says why: its `owner` proved both, the provider is the `authority` of the address, or the account was created by it at a `sign-up`.',
  'account.identity_unlinked':
    'An account at an upstream provider was unlinked from an account; `provider`, `issuer` and `subject` name it.',
  'account.email_verified': 'Somebody proved that the address of their account is theirs.',
  'account.email_change_requested': 'Somebody asked for another address for their account.',
  'account.email_change_cancelled': 'Somebody took back a change of address before it was confirmed.',
  'account.email_changed': 'Somebody proved the new address of their account, which counts from then on.',
  'account.email_restored': 'Somebody undid a change of address, which signed the account out everywhere.',
  'accounts.imported':
    'An administrator imported accounts; `created`, `existing` and `rejected` are their numbers. None of them has an event of its own.',
  'account.disabled': 'An administrator disabled an account, which ended its sessions and tokens.',
  'account.enabled': 'An administrator let a disabled account sign in again.',
  'account.deleted': 'An administrator deleted an account with its sessions, grants and tokens.',
  'account.exported': 'A person downloaded everything that is stored about them.',
  'account.deletion_scheduled':
    'A person asked to delete their account, which ended its sessions and tokens; `at` is when it is erased.',
  'account.deletion_cancelled': 'A person came back in time and kept their account.',
  'account.erased':
    'An account was erased, by an administrator or because its owner asked for it. Its earlier events and this one name it as `erased:` and a random pseudonym.',
  'directory.account_created': 'Somebody signed in with the directory for the first time, which created their account.',
  'directory.account_linked':
    'A local account became that of the directory at the first sign-in, because the directory is the authority of its address. That ended its password, sessions and tokens.',
  'directory.account_ended':
    'The entry of an account in the directory is gone or disabled, which ended its sessions and tokens.',
  'sign_up.requested':
    'Somebody asked for an account. A mail to the address says how to prove it, or that it has an account. Kept for 30 days.',
  'sign_in.succeeded':
    'Somebody signed in with the right password, or in another way, which `method` names: `mail` is a code or link in a mail, and `passkey` a passkey.',
  'sign_in.second_factor': 'Somebody who had given a first factor gave a second one; `method` names it.',
  'account.device_remembered':
    'Somebody had a browser remembered after a second factor, which is then not required there for some days; `days` is their number.',
  'sign_in.failed':
    'Somebody tried a wrong password, an address without an account, or a passkey that was not accepted: then `method` is `passkey`. `directory` is the answer of the directory, if it gave one. Kept for 30 days.',
  'sign_in.tried':
    'A password was checked although its network was throttled, because the browser had signed in before. Kept for 30 days.',
  'session.began': 'A browser was signed in to an account; `user_agent` is how it describes itself.',
  'session.ended': 'Somebody signed out.',
  'consent.given': 'Somebody granted a client some or all of what it asked for; `approved` names it.',
  'consent.denied': 'Somebody denied a client everything it asked for.',
  'consent.skipped': 'A first-party client was granted what it asked for without consent.',
  'grant.revoked': 'A grant was revoked, with everything issued under it.',
  'tokens.revoked': 'A client revoked a token, and with it everything issued for that login.',
  'code.reused': 'An authorization code was presented a second time, and everything issued for it was revoked.',
  'refresh_token.reused':
    'A refresh token was presented again too late for an accident, and everything issued for that login was revoked.',
  'client.registered': 'A client was registered, by an administrator, by itself or by its metadata document.',
  'client.updated': 'The metadata of a client was changed; `changed` names the fields if an administrator did it.',
  'client.disabled': 'An administrator stopped a client and its tokens from working.',
  'client.enabled': 'An administrator let a disabled client work again.',
  'client.deleted': 'A client was deleted, by an administrator or by itself, with everything issued to it.',
  'client.removed': 'A client was removed because its lifetime ended or it was not used in time; `reason` says which.',
  'client.secret_rotated': 'A client received a new secret.',
  'client.secret_set': 'An administrator set a secret of their own choice for a client.',
  'client.registration_token_revoked': 'The token with which a client changes its own registration was revoked.',
  'registration_policy.saved': 'A registration policy was saved; the details are the policy.',
  'registration_policy.deleted': 'A registration policy was deleted.',
  'registration_token.created': 'A token that lets clients register themselves was created.',
  'registration_token.revoked': 'A token that lets clients register themselves was revoked.',
  'resource.created': 'An API was registered.',
  'resource.updated': 'An API was changed; `changed` names the fields.',
  'resource.deleted': 'An API was deleted, with its tokens and the consents to it.',
  'upstream.created': 'An upstream provider was set up.',
  'upstream.updated': 'The settings of an upstream provider were changed; `changed` names the fields.',
  'upstream.tried': 'An administrator had Postern read what an upstream provider publishes.',
  'upstream.disabled':
    'An administrator stopped people from signing in with an upstream provider; `signed_out` is the number of accounts that this signed out.',
  'upstream.enabled': 'An administrator let people sign in with an upstream provider again.',
  'upstream.deleted': 'An upstream provider was deleted, and unlinked from all accounts.',
  'key.created': 'A key was created; `kid`, `purpose` and `state` describe it.',
  'key.published': 'A key was published, and will take over.',
  'key.activated': 'A key took over.',
  'key.removed': 'A key is no longer published.',
  'key.destroyed': 'A key was destroyed in its key-management service.',
  'key.revoked': 'An administrator revoked a key, which ended every use of it; `successor` took over.',
  'keys.rotated': 'An administrator requested that the next keys take over.',
  'mail.read':
    'An administrator read a mail, which can contain a link that opens an account; `mail` and `kind` describe it.',
  'mail.retried': 'An administrator had a mail tried again; `mail` and `kind` describe it.',
  'mail.tested': 'An administrator sent a test mail; `result` is how it ended.',
  'secrets.rotated': 'An administrator encrypted everything under another encryption key.',
} as const satisfies Record<string, string>

export type EventType = keyof typeof eventTypes

export const eventTypeNames = Object.keys(eventTypes) as EventType[]
