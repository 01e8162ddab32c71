import type { Tx } from '../../database/schema.ts'
import type { LetterKind, LetterOf } from '../../stores/operations/letters.ts'
import type { Account } from '../../stores/people/accounts.ts'
import type { Purpose } from '../../stores/people/confirmations.ts'
import type { Content } from '../render.ts'

/** The link, and the code if one was requested, that confirm something. */
export type Confirmation = { link: string; code: string | undefined }

export type ConfirmationRequest = {
  purpose: Purpose
  /** The address that the mail goes to. */
  email: string
  /** The account, and the parts of its state that must not change before the link is used. */
  account?: Pick<Account, 'id'> & { epoch?: number | undefined; email?: string | undefined }
  /** The hash of the browser that asked, in base64url. */
  browserHash?: string | undefined
  hasCode?: boolean
  data?: Record<string, unknown>
  lifetimeSeconds: number
}

/** The tools of the functions that decide what a mail says. */
export type LetterContext = {
  tx: Tx
  issuer: string
  /** How long the link of an invitation works. */
  invitationSeconds: number
  /** The directory that people sign in with, if there is one, and the page where they change their password. */
  directory: { passwordUrl: string | undefined } | undefined
  /** Makes a link, and a code if requested. */
  confirm(request: ConfirmationRequest): Promise<Confirmation>
}

/** Decides what the mail of a letter says, when it is about to be sent. `undefined` if nobody has to receive it. */
export type Composer<Kind extends LetterKind> = (
  context: LetterContext,
  letter: LetterOf<Kind>,
) => Promise<Content | undefined> | Content | undefined
