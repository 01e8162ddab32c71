import type { Config } from '../config/index.ts'
import { createLevels, type Level } from './levels.ts'
import type { SecondFactorRules } from './second-factor-policy.ts'

/** The rules of the settings for sign-ins: the levels that they can reach, and the second factors. */
export type SignInRules = { levels: Level[]; rules: SecondFactorRules; rememberDays: number; graceSeconds: number }

/** Reads the rules for sign-ins from the settings. */
export function signInRulesOf(config: Config): SignInRules {
  return {
    levels: createLevels({ issuer: config.ISSUER, own: config.ACR_LEVELS, isMailOffered: config.SIGN_IN_BY_CODE }),
    graceSeconds: config.SECOND_FACTOR_GRACE_SECONDS,
    rememberDays: config.REMEMBER_DEVICE_DAYS,
    rules: {
      mode: config.SECOND_FACTOR,
      groups: config.SECOND_FACTOR_GROUPS,
      countsMail: config.MAIL_SECOND_FACTOR,
      offersPasskeys: config.PASSKEYS,
    },
  }
}
