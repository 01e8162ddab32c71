import type { Composer } from './context.ts'

export const passkeyAdded: Composer<'passkey-added'> = ({ issuer }, { at, name }) => ({
  text: 'passkey-added',
  values: { at: new Date(at), name },
  link: `${issuer}/account/security`,
})

export const passkeyRemoved: Composer<'passkey-removed'> = ({ issuer }, { at, name }) => ({
  text: 'passkey-removed',
  values: { at: new Date(at), name },
  link: `${issuer}/account/security`,
})
