import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'

// Every authenticator app supports these (RFC 6238 §1.2, RFC 4226 §5.3).
const digits = 6
const stepSeconds = 30
const secretBytes = 20

/** The steps before and after the present one that are accepted, because clocks differ (RFC 6238 §5.2). */
const tolerance = 1

/** Creates a secret for one account and one app (RFC 4226 §4). */
export function createTotpSecret(): Buffer {
  return randomBytes(secretBytes)
}

/** Returns the time step of a time in milliseconds since 1970. */
export const stepAt = (nowMs: number): number => Math.floor(nowMs / 1000 / stepSeconds)

/** Returns the code of a time step (RFC 4226 §5.3, RFC 6238 §4). */
export function codeOf(secret: Buffer, step: number): string {
  const counter = Buffer.alloc(8)
  counter.writeBigUInt64BE(BigInt(step))
  const mac = createHmac('sha1', secret).update(counter).digest()
  const offset = mac.readUInt8(mac.length - 1) & 0xf
  return String((mac.readUInt32BE(offset) & 0x7fffffff) % 10 ** digits).padStart(digits, '0')
}

/** Returns the time step that a code is of, if that is near the present one. Blanks in it do not count. */
export function stepOf(secret: Buffer, code: string, nowMs: number): number | undefined {
  const typed = Buffer.from(code.replaceAll(/\s/g, ''))
  const now = stepAt(nowMs)
  const near = Array.from({ length: 2 * tolerance + 1 }, (_, index) => now - tolerance + index)
  const matching = near.filter((step) => {
    const right = Buffer.from(codeOf(secret, step))
    return typed.length === right.length && timingSafeEqual(typed, right)
  })
  return matching.at(-1)
}

/** Returns the address of a secret for an app, which shows the account under the name of the service. */
export function otpauthUri(secret: Buffer, { service, account }: { service: string; account: string }): string {
  const label = `${encodeURIComponent(service)}:${encodeURIComponent(account)}`
  const parameters = `secret=${base32(secret)}&issuer=${encodeURIComponent(service)}`
  return `otpauth://totp/${label}?${parameters}&algorithm=SHA1&digits=${digits}&period=${stepSeconds}`
}

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'

/** Returns bytes as text that can be typed (RFC 4648 §6), without padding. */
export function base32(bytes: Buffer): string {
  const bits = [...bytes].map((byte) => byte.toString(2).padStart(8, '0')).join('')
  const groups = bits.match(/.{1,5}/g) ?? []
  return groups.map((group) => alphabet.charAt(Number.parseInt(group.padEnd(5, '0'), 2))).join('')
}
