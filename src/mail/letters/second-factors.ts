import type { Composer } from './context.ts'

export const secondFactorChanged: Composer<'second-factor-changed'> = ({ issuer }, { at }) => ({
  text: 'second-factor-changed',
  values: { at: new Date(at) },
  link: `${issuer}/account/security`,
})

export const recoveryCodeUsed: Composer<'recovery-code-used'> = ({ issuer }, { at }) => ({
  text: 'recovery-code-used',
  values: { at: new Date(at) },
  link: `${issuer}/account/security`,
})
