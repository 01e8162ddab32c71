import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const library = join(import.meta.dirname, '../../node_modules/oidc-provider/lib')
const source = globSync('**/*.js', { cwd: library })
  .map((path) => readFileSync(join(library, path), 'utf8'))
  .join('\n')

/** Returns whether the engine emits an event: by this name, or by the name that it gives a route's error handler. */
export function isEmitted(event: string): boolean {
  return [`error('${event}')`, `emit('${event}'`].some((call) => source.includes(call))
}

/** Returns whether the source of the engine contains this text. */
export function isWritten(text: string): boolean {
  return source.includes(text)
}

/** The events that Postern listens to, by their names in `docs/engine.md`. */
export const events = [
  'authorization.error',
  'authorization.success',
  'grant.error',
  'userinfo.error',
  'introspection.error',
  'revocation.error',
  'pushed_authorization_request.error',
  'device_authorization.error',
  'code_verification.error',
  'device_resume.error',
  'end_session.error',
  'end_session_confirm.error',
  'end_session_success.error',
  'registration_create.error',
  'registration_read.error',
  'registration_update.error',
  'registration_delete.error',
  'discovery.error',
  'jwks.error',
  'server_error',
]

/** The words in errors of the engine that Postern recognizes, by their names in `docs/engine.md`. */
export const words = [
  'NoCodeError',
  'NotFoundError',
  'ExpiredError',
  'AlreadyUsedError',
  'AbortedError',
  'client not found',
  'client mismatch',
  'invalid secret provided',
  'the provided authentication mechanism does not match',
  'redirect_uri mismatch',
  'redirect_uri did not match',
  'post_logout_redirect_uri not registered',
  'grant type is not allowed',
  'response_type is not allowed',
]
