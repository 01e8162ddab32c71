import { codeHashWith, randomCode } from '../authentication/mailed-codes.ts'
import type { Envelope } from '../crypto/envelope.ts'
import type { Tx } from '../database/schema.ts'
import type { Secret } from '../secret.ts'
import * as confirmations from '../stores/people/confirmations.ts'
import type { LetterContext } from './letters/context.ts'

/** Returns the function that makes the links and codes of mails. */
export function createConfirm({
  issuer,
  envelope,
  key,
}: {
  issuer: string
  envelope: Envelope
  /** Hashes the codes. */
  key: Secret<Buffer>
}): (tx: Tx) => LetterContext['confirm'] {
  return (tx) =>
    async ({ browserHash, hasCode, ...request }) => {
      const code = hasCode ? randomCode() : undefined
      const token = await confirmations.create(tx, envelope, {
        ...request,
        browserHash: browserHash === undefined ? undefined : Buffer.from(browserHash, 'base64url'),
        codeHashOf: code === undefined ? undefined : codeHashWith(key, code),
      })
      return { link: `${issuer}/link/${token}`, code }
    }
}
