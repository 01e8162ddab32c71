import type { Logger } from 'pino'
import type { Db } from '../../database/schema.ts'
import * as resourceServers from '../../stores/clients/resource-servers.ts'
import { isScope } from '../scopes.ts'

/**
 * Warns of APIs with a scope that is named as one of OpenID Connect. None is registered that way any more. A release
 * before this one allowed it, and people may have consented to it, so it goes on, but no machine gets it.
 */
export async function warnOfMisnamedScopes(db: Db, log: Logger): Promise<void> {
  for (const { identifier, scopes } of await resourceServers.list(db)) {
    const misnamed = Object.keys(scopes).filter(isScope)
    if (misnamed.length === 0) continue
    const renamed = Object.entries(scopes).map(([name, text]) => [isScope(name) ? `api:${name}` : name, text])
    const command = `postern resource update ${quoted(identifier)} --scopes ${quoted(JSON.stringify(Object.fromEntries(renamed)))}`
    log.warn(
      { resource: identifier, scopes: misnamed },
      `The API ${identifier} has a scope that is OpenID Connect's: ${misnamed.join(', ')}. No machine gets it. ` +
        `Rename it, here and in the API: ${command}`,
    )
  }
}

const quoted = (word: string) => `'${word.replaceAll("'", "'\\''")}'`
