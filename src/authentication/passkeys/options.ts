import { randomBytes } from 'node:crypto'
import {
  type AuthenticatorTransport,
  generateAuthenticationOptions,
  generateRegistrationOptions,
  type PublicKeyCredentialCreationOptionsJSON,
  type PublicKeyCredentialRequestOptionsJSON,
} from '@simplewebauthn/server'
import type { Db } from '../../database/schema.ts'
import * as challenges from '../../stores/people/challenges.ts'
import * as passkeys from '../../stores/people/passkeys.ts'
import { algorithms, type RelyingParty } from './relying-party.ts'

/** The person that a passkey is created for. */
export type NewHolder = {
  /** The account; `undefined` for one that is created together with the passkey. */
  account: { id: string; epoch: number } | undefined
  email: string
  name: string
}

const userHandleBytes = 32 // says nothing about the person (WebAuthn Level 3 §14.6.1)
const timeout = challenges.lifetimeSeconds * 1000

/**
 * Returns the options that make a browser create a passkey. Attestation is not requested: it
 * would tell the model of the authenticator, and no rule here depends on that.
 */
export async function creationOptions(
  db: Db,
  rp: RelyingParty,
  belonging: Omit<challenges.Belonging, 'origin'>,
  { account, email, name }: NewHolder,
): Promise<PublicKeyCredentialCreationOptionsJSON> {
  const existing = account ? await passkeys.listByAccount(db, account.id) : []
  const userHandle = existing[0]?.userHandle ?? randomBytes(userHandleBytes)
  const challenge = await challenges.create(db, { ...belonging, origin: rp.origin, account, userHandle })
  const isRequired = belonging.purpose === 'passkey-registration'
  return generateRegistrationOptions({
    rpID: rp.id,
    rpName: rp.name(),
    userID: new Uint8Array(userHandle),
    userName: email,
    userDisplayName: name || email,
    challenge: bytesOf(challenge),
    timeout,
    attestationType: 'none',
    excludeCredentials: existing.map(descriptor),
    authenticatorSelection: {
      residentKey: 'required',
      userVerification: isRequired ? 'required' : 'preferred',
    },
    supportedAlgorithmIDs: algorithms,
  })
}

/**
 * Returns the options that make a browser ask for a passkey. Only for the account of a challenge do
 * they list its passkeys: to a stranger they would tell whether an address has an account.
 */
export async function requestOptions(
  db: Db,
  rp: RelyingParty,
  belonging: Omit<challenges.Belonging, 'origin'>,
  account?: { id: string; epoch: number },
): Promise<PublicKeyCredentialRequestOptionsJSON> {
  const allowed = account ? await passkeys.listByAccount(db, account.id) : []
  const challenge = await challenges.create(db, { ...belonging, origin: rp.origin, account })
  return generateAuthenticationOptions({
    rpID: rp.id,
    challenge: bytesOf(challenge),
    timeout,
    allowCredentials: allowed.map(descriptor),
    userVerification: needsUserVerification(belonging.purpose) ? 'required' : 'preferred',
  })
}

/** Returns whether the authenticator has to verify the person: wherever the passkey is all that a sign-in needs. */
export function needsUserVerification(purpose: challenges.Purpose): boolean {
  return purpose !== 'passkey-second-factor'
}

function descriptor({ credentialId, transports }: passkeys.Passkey) {
  return { id: credentialId.toString('base64url'), transports: transports as AuthenticatorTransport[] }
}

const bytesOf = (challenge: string) => new Uint8Array(Buffer.from(challenge, 'base64url'))
