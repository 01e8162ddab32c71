// Which project of vitest.config.ts a test file belongs to. A file that is in none of these lists is one of `postern`.

/** Tests of the source text, and of the engine alone, which `npm run check` runs. */
export const text = [
  'test/architecture.test.ts',
  'test/cli/documented-commands.test.ts',
  'test/contract/canaries/commands.test.ts',
  'test/documentation.test.ts',
  'test/oidc/engine.test.ts',
  'test/wording.test.ts',
]

/** Tests that need neither a database nor another process. */
export const quick = [
  'test/admin/declaration/reading.test.ts',
  'test/admin/times.test.ts',
  'test/accounts/password-rules.test.ts',
  'test/authentication/{devices,ldap/rules,levels,networks,totp}.test.ts',
  'test/bounded-map.test.ts',
  'test/brand/*.test.ts',
  'test/cli/switches.test.ts',
  'test/config.test.ts',
  'test/crypto/*.test.ts',
  'test/egress/{addresses,backoff,destinations}.test.ts',
  'test/images/*.test.ts',
  'test/keys/life-cycle.test.ts',
  'test/http/server.test.ts',
  'test/languages/*.test.ts',
  'test/log/lines.test.ts',
  'test/mail/{message,transport}.test.ts',
  'test/oidc/consent/decision.test.ts',
  'test/oidc/tokens/external-keys.test.ts',
  'test/registration/{documents,names,policy,redirect-uris,reductions,rules,software-statements}.test.ts',
  'test/resource-server/{metadata,options}.test.ts',
  'test/views/*.test.ts',
]

/** Long tests of a whole deployment under load, attack or failure: `npm run test:drills`. */
export const drills = [
  'test/admin/contention.test.ts',
  'test/authentication/strangers.test.ts',
  'test/browser/{account-journey,cookie-tossing,every-language}.test.ts',
  'test/cli/secrets.test.ts',
  'test/concurrency/*.test.ts',
  'test/contract/canaries.test.ts',
  'test/database/embedded.test.ts',
  'test/deployment/{backup,embedded-backup,package,replicas}.test.ts',
  'test/faults/*.test.ts',
  'test/guarantees/still-true.test.ts',
  'test/http/{administration-in-a-storm,connections,keys}.test.ts',
  'test/keys/lost-encryption-keys.test.ts',
]

/** Files of `postern` that take longer than their size suggests. They start first, so that no processor waits for them. */
export const slow = [
  'test/browser/accessibility.test.ts',
  'test/quickstarts/quickstarts.test.ts',
  'test/examples/registration.test.ts',
  'test/http/interactions/enumeration.test.ts',
  'test/http/enumeration.test.ts',
  'test/browser/recovery.test.ts',
  'test/cli/output.test.ts',
  'test/cli/questions.test.ts',
  'test/browser/parts.test.ts',
]
