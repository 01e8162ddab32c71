import { encode } from 'uqr'
import { base32, otpauthUri } from '../authentication/totp.ts'
import type { AuthenticatorPage, QrCode } from '../views/pages/authenticator.ts'

/** Returns a text as a QR code (ISO/IEC 18004), with a quiet border. */
export function qrCodeOf(text: string): QrCode {
  const { data, size } = encode(text, { border: 2 })
  const squares = data.flatMap((row, y) => row.flatMap((isDark, x) => (isDark ? [`M${x} ${y}h1v1h-1z`] : [])))
  return { size, path: squares.join('') }
}

/** Returns the parts of the page about an authenticator app that show its secret. */
export function secretShown(
  secret: Buffer,
  names: { service: string; account: string },
): Pick<AuthenticatorPage, 'qr' | 'secret'> {
  return { qr: qrCodeOf(otpauthUri(secret, names)), secret: base32(secret).replaceAll(/(.{4})(?!$)/g, '$1 ') }
}
