/** Every type of event in the audit, with what happened. docs/audit-events.md is made of it. */
export const eventTypes = {
  'account.created': 'An administrator created an account.',
  'account.updated': 'An administrator changed the address or the claims of an account; `changed` names which.',
  'account.password_set': 'An administrator gave an account another password, which signed it out everywhere.',
  'account.disabled': 'An administrator disabled an account, which ended its sessions and tokens.',
  'account.enabled': 'An administrator let a disabled account sign in again.',
  'account.deleted': 'An administrator deleted an account with its sessions, grants and tokens.',
  'account.erased':
    'An administrator erased an account. Its earlier events are of `erased:` and a name that was made up, as this one is.',
  'sign_in.succeeded': 'Somebody signed in with the right password.',
  'sign_in.failed': 'Somebody tried a wrong password or an address without an account. Kept for 30 days.',
  'sign_in.tried':
    'A guess was looked at although its network has to wait, because its browser had signed in before. Kept for 30 days.',
  'session.began': 'A browser was signed in to an account.',
  'session.ended': 'Somebody signed out.',
  'consent.given': 'Somebody let a client have what it asked for, or a part; `approved` says what.',
  'consent.denied': 'Somebody denied a client everything it asked for.',
  'consent.skipped': 'A first-party client was given what it asked for, without a question.',
  'grant.revoked': 'A grant was taken back, with everything issued under it.',
  'tokens.revoked': 'A client revoked a token, and with it everything of that login.',
  'code.reused': 'An authorization code came a second time: everything issued for it was revoked.',
  'refresh_token.reused':
    'A refresh token came a second time, when it was too late for a mishap: everything of that login was revoked.',
  'client.registered': 'A client was registered, by an administrator, by itself or by its metadata document.',
  'client.updated': 'The metadata of a client were changed; `changed` names which, where an administrator did it.',
  'client.disabled': 'An administrator stopped a client and its tokens from working.',
  'client.enabled': 'An administrator let a disabled client work again.',
  'client.deleted': 'A client was deleted, by an administrator or by itself, with everything issued to it.',
  'client.removed': 'A client was removed because its lifetime ended or it was not used in time; `reason` says which.',
  'client.secret_rotated': 'A client was given another secret.',
  'client.secret_set': 'An administrator gave a client a secret of their own.',
  'client.registration_token_revoked': 'The token with which a client changes its own registration was revoked.',
  'registration_policy.saved': 'A registration policy was saved; the details are the policy.',
  'registration_policy.deleted': 'A registration policy was deleted.',
  'registration_token.created': 'A token with which apps register themselves was created.',
  'registration_token.revoked': 'A token with which apps register themselves was revoked.',
  'resource.created': 'An API was registered.',
  'resource.updated': 'An API was changed; `changed` names what.',
  'resource.deleted': 'An API was deleted, with its tokens and what people consented to.',
  'key.created': 'A key was made; `kid`, `purpose` and `state` say which.',
  'key.published': 'A key was published, and will take over.',
  'key.activated': 'A key took over.',
  'key.removed': 'A key is not published any more.',
  'key.destroyed': 'A key was destroyed in the key-management service that kept it.',
  'key.revoked': 'An administrator ended everything that a key is good for; `successor` took over.',
  'keys.rotated': 'An administrator asked for the next keys to take over.',
  'secrets.rotated': 'An operator encrypted everything under another encryption key.',
} as const satisfies Record<string, string>

export type EventType = keyof typeof eventTypes

export const isEventType = (type: string): type is EventType => Object.hasOwn(eventTypes, type)
