/**
 * The kinds of letters, with what the mail of each needs besides its address. A letter is a request: the delivery looks
 * up the account, makes the link and composes the mail, or drops the letter. So a page does the same work for every
 * address, and a letter that waits contains no link. All members are JSON.
 */
export type LetterData = {
  /** Proves the address of somebody who signs up. If the address has an account, the mail says that instead. */
  'sign-up': { account: Record<string, unknown>; browserHash?: string; interaction?: string }
  /** Proves the new address of an account; `to` is that address. */
  'email-change': { accountId: string; browserHash?: string }
  /** Tells the previous address that it was replaced, with a link that undoes it. */
  'email-changed': { accountId: string; newEmail: string }
  /** Lets the owner of an account choose another password. Dropped if no account with a password has the address. */
  'password-reset': { browserHash?: string; interaction?: string }
  /** Tells the owner that the password is another one. */
  'password-changed': { accountId: string; at: string }
  /** Tells the owner, who proved the address for the first time, that the password is gone. */
  'password-removed': { accountId: string; at: string }
  /** Tells the owner that somebody can sign in with another passkey. */
  'passkey-added': { accountId: string; at: string; name: string }
  /** Tells the owner that a passkey no longer works. */
  'passkey-removed': { accountId: string; at: string; name: string }
  /** Tells the owner that an authenticator app or recovery codes were added, replaced or removed. */
  'second-factor-changed': { accountId: string; at: string }
  /** Tells the owner that a recovery code was used to sign in. */
  'recovery-code-used': { accountId: string; at: string }
  /** Tells the owner that an account elsewhere signs in to theirs. */
  'identity-linked': { accountId: string; at: string; name: string }
  /** Tells the owner that an account elsewhere no longer signs in to theirs. */
  'identity-unlinked': { accountId: string; at: string; name: string }
  /** Signs in the browser that asked. Dropped if no account has the address. */
  'sign-in-code': { browserHash: string; interaction?: string }
  /** Invites the owner of the address to an account that an administrator created. */
  invitation: { accountId: string; invitedBy?: string }
  /** Tells the owner when the account will be deleted, and how to keep it. */
  'account-deletion-scheduled': { accountId: string; at: string }
  /** Tells the former owner that the account is gone. */
  'account-deleted': Record<never, never>
  /** Tells the owner that a browser signed in that had not been seen before. */
  'new-sign-in': { accountId: string; at: string; device?: string; place?: string }
  /** Shows an administrator that mail arrives. */
  test: Record<never, never>
}

export type LetterKind = keyof LetterData

/** A letter of one kind. */
export type LetterOf<Kind extends LetterKind> = {
  kind: Kind
  /** The address that the mail goes to. */
  to: string
  /** The language of the person, as a BCP 47 tag. Default: that of the account, or English. */
  language?: string
} & LetterData[Kind]

/** A letter that somebody shall receive. */
export type Letter = { [Kind in LetterKind]: LetterOf<Kind> }[LetterKind]

/** Sends a letter once the transaction is committed, which waits for no mail server. */
export type SendLetter = (letter: Letter) => void

/** A mail as the recipient sees it. */
export type Mail = { to: string; subject: string; text: string; html: string; language: string }
