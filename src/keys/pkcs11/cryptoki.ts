import type { Secret } from '../../secret.ts'
import { CKF, CKR, CKU } from './constants.ts'
import type { Cryptoki, Handle } from './pkcs11js.ts'

/** Where the keys are: a token, by its label, in a PKCS #11 module. */
export type TokenSettings = { module: string; label: string; pin: Secret }

/** The token refused the PIN, or would be locked by another wrong one. To try again could lock it. */
export class PinRefused extends Error {
  override name = 'PinRefused'
}

/** The number with which a function of PKCS #11 failed. */
export function codeOf(error: unknown): number | undefined {
  const { name, code } = error as { name?: string; code?: unknown }
  return name === 'Pkcs11Error' && typeof code === 'number' ? code : undefined
}

/** An error of a module with what it is about; any other as it is. */
export function explained(error: unknown): unknown {
  if (codeOf(error) === undefined) return error
  return new Error(`The key-management service failed: ${(error as Error).message}.`, { cause: error })
}

/** Readies a module. Says whether that was done here, and not by somebody else in this process. */
export function initialize(cryptoki: Cryptoki): boolean {
  try {
    cryptoki.C_Initialize({ flags: CKF.OS_LOCKING_OK })
    return true
  } catch (error) {
    if (codeOf(error) !== CKR.CRYPTOKI_ALREADY_INITIALIZED) throw error
    return false
  }
}

/** The slot of the one token with this label. */
export function findSlot(cryptoki: Cryptoki, { module, label }: TokenSettings): Handle {
  const found = cryptoki.C_GetSlotList(true).flatMap((slot) => {
    const name = labelOf(cryptoki, slot)
    return name ? [{ slot, name }] : []
  })
  const [first, ...more] = found.filter(({ name }) => name === label)
  if (first && more.length === 0) return first.slot
  const known = found.map(({ name }) => `"${name}"`).join(', ') || 'none'
  throw new Error(
    first
      ? `PKCS11_TOKEN is ambiguous: ${module} has ${1 + more.length} tokens with the label "${label}".`
      : `PKCS11_TOKEN names no token of ${module}: it has ${known}, not "${label}".`,
  )
}

function labelOf(cryptoki: Cryptoki, slot: Handle): string | undefined {
  try {
    return cryptoki.C_GetTokenInfo(slot).label.trimEnd()
  } catch {
    return undefined // a broken token beside ours is none of our business
  }
}

const pinCodes = { from: 0xa0, to: 0xa4 } // CKR_PIN_INCORRECT to CKR_PIN_LOCKED

/**
 * Logs all sessions of this process in (PKCS #11 v2.40 §5.6): once, and never if one more wrong PIN would lock the
 * token, for a supervisor that starts a process over and over would use up the last try.
 */
export function login(
  cryptoki: Cryptoki,
  { slot, session, pin }: { slot: Handle; session: Handle; pin: Secret },
): void {
  const refusal = refusalOf(cryptoki.C_GetTokenInfo(slot))
  if (refusal) throw new PinRefused(refusal)
  try {
    cryptoki.C_Login(session, CKU.USER, pin.reveal())
  } catch (error) {
    const code = codeOf(error) ?? 0
    if (code === CKR.USER_ALREADY_LOGGED_IN) return
    if (code < pinCodes.from || code > pinCodes.to) throw error
    throw new PinRefused('The token refused PKCS11_PIN. It is not tried again, since that could lock the token.', {
      cause: error,
    })
  }
}

/** Why a token in this state is not given a PIN. */
export function refusalOf({ flags }: { flags: number }): string | undefined {
  if (flags & CKF.USER_PIN_LOCKED) return 'The token is locked after too many wrong PINs.'
  if (flags & CKF.USER_PIN_FINAL_TRY) {
    return 'The token would be locked by one more wrong PIN, so PKCS11_PIN is not tried. Log in once by other means.'
  }
  return undefined
}
