export type HomePage = {
  issuer: string
  version: string
}
