import type { Secret } from '../../secret.ts'
import { CKF, CKR, CKU } from './constants.ts'
import type { Cryptoki, Handle } from './pkcs11js.ts'

/** The token that stores the keys: its label, its PKCS #11 module and its PIN. */
export type TokenSettings = { module: string; label: string; pin: Secret }

/** Thrown when the token rejected the PIN, or one more wrong PIN would lock it. Another attempt could lock it. */
export class PinRefused extends Error {
  override name = 'PinRefused'
}

/** Returns the error code of a function of PKCS #11. */
export function codeOf(error: unknown): number | undefined {
  const { name, code } = error as { name?: string; code?: unknown }
  return name === 'Pkcs11Error' && typeof code === 'number' ? code : undefined
}

/** Adds an explanation to an error of a module. Returns any other error as it is. */
export function explained(error: unknown): unknown {
  if (codeOf(error) === undefined) return error
  return new Error(`The key-management service failed: ${(error as Error).message}.`, { cause: error })
}

/** Initializes a module. `false` if other code in this process had already done so. */
export function initialize(cryptoki: Cryptoki): boolean {
  try {
    cryptoki.C_Initialize({ flags: CKF.OS_LOCKING_OK })
    return true
  } catch (error) {
    if (codeOf(error) !== CKR.CRYPTOKI_ALREADY_INITIALIZED) throw error
    return false
  }
}

/** Finds the slot of the one token with this label. */
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
    return undefined // a broken token in another slot does not matter
  }
}

const pinCodes = { from: 0xa0, to: 0xa4 } // CKR_PIN_INCORRECT to CKR_PIN_LOCKED

/**
 * Logs in all sessions of this process (PKCS #11 v2.40 §5.6). It tries once, and never if one more wrong PIN would lock
 * the token: a supervisor that keeps restarting a process would use up the last try.
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
    throw new PinRefused('The token rejected PKCS11_PIN. It is not tried again, because that could lock the token.', {
      cause: error,
    })
  }
}

/** Explains why a token in this state must not be sent a PIN. */
export function refusalOf({ flags }: { flags: number }): string | undefined {
  if (flags & CKF.USER_PIN_LOCKED) return 'The token is locked after too many wrong PINs.'
  if (flags & CKF.USER_PIN_FINAL_TRY) {
    return 'One more wrong PIN would lock the token, so PKCS11_PIN is not tried. Log in once by other means.'
  }
  return undefined
}
