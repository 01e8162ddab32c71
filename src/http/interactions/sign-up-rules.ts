import { rulesFor } from '../../accounts/password.ts'
import { createProofOfWork } from '../../authentication/proof-of-work.ts'
import { createSignUpLimits } from '../../authentication/sign-up-limits.ts'
import type { CurrentBrand } from '../../brand/index.ts'
import type { Config } from '../../config/index.ts'
import type { Db } from '../../database/schema.ts'
import type { Secret } from '../../secret.ts'
import type { SignUp } from './sign-up-begin.ts'

/** Returns the settings and tools of signing up. */
export function createSignUp({
  config,
  database: { db },
  brand,
  throttleKey,
}: {
  config: Config
  database: { db: Db }
  brand: CurrentBrand
  throttleKey: Secret<Buffer>
}): SignUp {
  return {
    rules: {
      mode: config.SIGN_UP,
      allowed: config.SIGN_UP_ALLOWED_DOMAINS,
      refused: config.SIGN_UP_REFUSED_DOMAINS,
    },
    passwordRules: rulesFor(config),
    termsVersion: config.TERMS_VERSION,
    brand,
    limits: createSignUpLimits({ db, throttleKey, perNetwork: config.SIGN_UPS_PER_NETWORK_PER_HOUR }),
    proofs: createProofOfWork({ db, key: throttleKey }),
  }
}
