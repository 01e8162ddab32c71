import { describe } from '../../accounts/described.ts'
import * as accounts from '../../stores/people/accounts.ts'
import type { Composer } from './context.ts'

const addressSeconds = 86_400 // the person may read another mailbox only in the evening
const undoSeconds = 7 * 86_400 // long enough for somebody who was on holiday when the account was taken over

export const emailChange: Composer<'email-change'> = async ({ tx, issuer, confirm }, letter) => {
  const { to, accountId, browserHash } = letter
  const account = await accounts.findById(tx, accountId)
  if (!account || account.isDisabled) return undefined
  const owner = await accounts.findByEmail(tx, to)
  if (owner && owner.id !== account.id)
    return { text: 'email-change-taken', to: owner.email, link: `${issuer}/account` }
  const { link } = await confirm({
    purpose: 'email-change',
    email: to,
    account: { id: account.id, epoch: account.epoch, email: account.email },
    browserHash,
    lifetimeSeconds: addressSeconds,
  })
  const described = describe(account)
  const values = { account: described.name ? `${described.name} (${described.email})` : described.email }
  return { text: 'email-change', values, link, lifetimeSeconds: addressSeconds }
}

export const emailChanged: Composer<'email-changed'> = async ({ tx, confirm }, { to, accountId, newEmail }) => {
  const account = await accounts.findById(tx, accountId)
  if (!account) return undefined
  // Not bound to the state of the account: somebody who took it over must not be able to end the link.
  const { link } = await confirm({
    purpose: 'email-undo',
    email: to,
    account: { id: account.id },
    lifetimeSeconds: undoSeconds,
  })
  const values = { newEmail }
  return { text: 'email-changed', values, link, lifetimeSeconds: undoSeconds }
}

export const invitation: Composer<'invitation'> = async ({ tx, confirm, invitationSeconds }, { accountId }) => {
  const account = await accounts.findById(tx, accountId)
  if (!account || account.isDisabled) return undefined
  const { link } = await confirm({
    purpose: 'invitation',
    email: account.email,
    account: { id: account.id, epoch: account.epoch, email: account.email },
    lifetimeSeconds: invitationSeconds,
  })
  return { text: 'invitation', to: account.email, link, lifetimeSeconds: invitationSeconds }
}

export const accountDeletionScheduled: Composer<'account-deletion-scheduled'> = ({ issuer }, { at }) => ({
  text: 'account-deletion-scheduled',
  values: { at: new Date(at) },
  link: `${issuer}/account`,
})

export const accountDeleted: Composer<'account-deleted'> = () => ({ text: 'account-deleted' })
