import type { Composer } from './context.ts'

export const identityLinked: Composer<'identity-linked'> = ({ issuer }, { at, name }) => ({
  text: 'identity-linked',
  values: { at: new Date(at), name },
  link: `${issuer}/account/security`,
})

export const identityUnlinked: Composer<'identity-unlinked'> = ({ issuer }, { at, name }) => ({
  text: 'identity-unlinked',
  values: { at: new Date(at), name },
  link: `${issuer}/account/security`,
})
