import { createDirectory } from '../../authentication/ldap/directory.ts'
import { rulesOf } from '../../authentication/ldap/rules.ts'
import type { Config } from '../../config/index.ts'
import { type Finding, messageOf, ok, problem } from './finding.ts'

/** Examines whether each server of the directory can be reached, is the right one and lets Postern search. */
export async function ldapFindings(config: Config): Promise<Finding[]> {
  const rules = rulesOf(config)
  if (!rules) return []
  const directory = createDirectory(rules, () => {})
  return Promise.all(
    rules.servers.map(async (server) => {
      const name = `${server.host}:${server.port}`
      try {
        await directory.probe(server)
        return ok(`The LDAP server ${name} answers, and ${rules.baseDn} is there`)
      } catch (error) {
        return problem(
          `The LDAP server ${name} cannot be used: ${messageOf(error)}`,
          'Check LDAP_URL, LDAP_CA, LDAP_BIND_DN with its password, and LDAP_BASE_DN. docs/ldap.md explains them.',
        )
      }
    }),
  )
}
