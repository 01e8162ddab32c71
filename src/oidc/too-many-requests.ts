import { errors } from 'oidc-provider'

/** The error of a request beyond a rate limit (RFC 6585 §4). */
export class TooManyRequests extends errors.OIDCProviderError {
  readonly retryAfterSeconds: number

  constructor(what: string, retryAfterSeconds: number) {
    super(429, 'temporarily_unavailable')
    this.expose = true
    this.error_description = `too many ${what}, try again later`
    this.retryAfterSeconds = retryAfterSeconds
  }
}
