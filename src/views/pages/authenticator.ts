/** A picture of squares: how many there are in a row, and the dark ones as the path of an SVG. */
export type QrCode = { size: number; path: string }

/** The page where a person sets up an authenticator app. */
export type AuthenticatorPage = {
  /** The address that the form is sent to. */
  action: string
  /** The hidden fields of the form. */
  hidden: Readonly<Record<string, string>>
  qr: QrCode
  /** The secret as text, in groups of four characters. */
  secret: string
  isWrong: boolean
  /** Where the person goes who gives up. */
  back: string
}

/** The page that shows recovery codes, the only time. */
export type RecoveryCodesPage = { codes: readonly string[]; next: string }

/** The page that asks a person to set up a second factor. */
export type EnrolPage = {
  uid: string
  csrf: string
  /** Until when the person can put it off; `undefined` if they cannot. */
  until: Date | undefined
}
