import * as accounts from '../../stores/people/accounts.ts'
import * as directoryAccounts from '../../stores/people/directory-accounts.ts'
import type { Composer } from './context.ts'

const signUpSeconds = 3_600
const resetSeconds = 900
const codeSeconds = 600 // with five attempts, a code of six digits is out of reach in that time

export const signUp: Composer<'sign-up'> = async ({ tx, issuer, confirm }, letter) => {
  const owner = await accounts.findByEmail(tx, letter.to)
  // Also if nobody receives it: to check a wrong code takes longer if there is a right one, which the page must not reveal.
  const confirmation = await confirm({
    purpose: 'sign-up',
    email: letter.to,
    browserHash: letter.browserHash,
    hasCode: true,
    data: { ...letter.account, interaction: letter.interaction },
    lifetimeSeconds: signUpSeconds,
  })
  if (owner) return { text: 'sign-up-taken', to: owner.email, link: `${issuer}/account` }
  return { text: 'sign-up', ...confirmation, lifetimeSeconds: signUpSeconds }
}

// The mail goes to the address of the account. Another spelling of it, which somebody entered, may be the mailbox of
// somebody else.
export const passwordReset: Composer<'password-reset'> = async (
  { tx, confirm, directory },
  { to, browserHash, interaction },
) => {
  const account = await accounts.findByEmail(tx, to)
  if (!account || account.isDisabled) return undefined
  if (directory && (await directoryAccounts.findByAccount(tx, account.id))) {
    const { email, profile } = account
    return { text: 'password-elsewhere', to: email, link: directory.passwordUrl, locale: profile['locale'] }
  }
  const { link } = await confirm({
    purpose: 'password-reset',
    email: account.email,
    account: { id: account.id, epoch: account.epoch, email: account.email },
    browserHash,
    data: { interaction },
    lifetimeSeconds: resetSeconds,
  })
  const { email, profile } = account
  return { text: 'password-reset', to: email, link, lifetimeSeconds: resetSeconds, locale: profile['locale'] }
}

export const signInCode: Composer<'sign-in-code'> = async ({ tx, confirm }, { to, browserHash, interaction }) => {
  const found = await accounts.findByEmail(tx, to)
  const account = found?.isDisabled ? undefined : found
  // Also if nobody receives it, as for a sign-up.
  const confirmation = await confirm({
    purpose: 'sign-in',
    email: account?.email ?? to,
    ...(account && { account: { id: account.id, epoch: account.epoch, email: account.email } }),
    browserHash,
    hasCode: true,
    data: { interaction },
    lifetimeSeconds: codeSeconds,
  })
  if (!account) return undefined
  const { email, profile } = account
  return { text: 'sign-in-code', to: email, ...confirmation, lifetimeSeconds: codeSeconds, locale: profile['locale'] }
}

export const passwordChanged: Composer<'password-changed'> = ({ issuer }, { at }) => ({
  text: 'password-changed',
  values: { at: new Date(at) },
  link: `${issuer}/account`,
})

export const passwordRemoved: Composer<'password-removed'> = ({ issuer }, { at }) => ({
  text: 'password-removed',
  values: { at: new Date(at) },
  link: `${issuer}/account/password`,
})

export const newSignIn: Composer<'new-sign-in'> = ({ issuer }, { at, device }) => ({
  text: device === undefined ? 'new-sign-in-unknown' : 'new-sign-in',
  values: { at: new Date(at), device: device ?? '' },
  link: `${issuer}/account`,
})
