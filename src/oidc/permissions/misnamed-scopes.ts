import type { Logger } from 'pino'
import type { Db } from '../../database/schema.ts'
import * as resourceServers from '../../stores/clients/resource-servers.ts'
import { isOidcScope } from '../scopes.ts'

/**
 * Warns about APIs with a scope that has the name of an OpenID Connect scope. Nobody can register one now. The previous
 * release allowed it and people may have consented to it, so it stays valid, but no machine gets it.
 */
export async function warnOfMisnamedScopes(db: Db, log: Logger): Promise<void> {
  for (const { identifier, scopes } of await resourceServers.list(db)) {
    const misnamed = Object.keys(scopes).filter(isOidcScope)
    if (misnamed.length === 0) continue
    const renamed = Object.entries(scopes).map(([name, text]) => [isOidcScope(name) ? `api:${name}` : name, text])
    const command = `postern resource update ${quoted(identifier)} --scopes ${quoted(JSON.stringify(Object.fromEntries(renamed)))}`
    log.warn(
      { resource: identifier, scopes: misnamed },
      `The API ${identifier} has scopes named like those of OpenID Connect: ${misnamed.join(', ')}. No machine gets them. ` +
        `Rename them, here and in the API: ${command}`,
    )
  }
}

const quoted = (word: string) => `'${word.replaceAll("'", "'\\''")}'`
