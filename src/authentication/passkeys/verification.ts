import { verifyAuthenticationResponse, verifyRegistrationResponse } from '@simplewebauthn/server'
import type { Tx } from '../../database/schema.ts'
import * as challenges from '../../stores/people/challenges.ts'
import * as passkeys from '../../stores/people/passkeys.ts'
import { needsUserVerification } from './options.ts'
import { algorithms, type RelyingParty } from './relying-party.ts'
import { authenticationResponse, challengeIn, parseResponse, registrationResponse } from './responses.ts'

/**
 * The reason why the answer of an authenticator is rejected: no such passkey is known here; it is not what was requested,
 * or not in time; or the authenticator was copied.
 */
export type PasskeyRefusal = 'unknown' | 'invalid' | 'copied'

/** A passkey that was verified but belongs to nobody yet. */
export type VerifiedPasskey = Omit<passkeys.NewPasskey, 'accountId' | 'userHandle' | 'name'> & { challenge: string }

/** A person who proved who they are by a passkey. */
export type PasskeyHolder = passkeys.Asserted & { isUserVerified: boolean }

/** Where an answer comes from, which has to be where its challenge was created. */
export type Asked = Omit<challenges.Belonging, 'origin'>

/** A refusal, with the passkey that it is about. */
export type Refused = { refusal: PasskeyRefusal; credentialId?: string | undefined; accountId?: string | undefined }

/**
 * Verifies a new passkey: its challenge, origin, relying party and flags. Whether the challenge can be redeemed is decided
 * when the passkey is stored.
 */
export async function verifyRegistration(
  rp: RelyingParty,
  purpose: challenges.Purpose,
  text: string,
): Promise<VerifiedPasskey | undefined> {
  const response = parseResponse(text, registrationResponse)
  if (!response) return undefined
  const challenge = challengeIn(response)
  const mustVerify = purpose === 'passkey-registration'
  const verified = await verifyRegistrationResponse({
    response: response as Parameters<typeof verifyRegistrationResponse>[0]['response'],
    expectedChallenge: challenge,
    expectedOrigin: rp.origin,
    expectedRPID: rp.id,
    requireUserPresence: mustVerify, // without it where the browser creates a passkey by itself
    requireUserVerification: mustVerify,
    supportedAlgorithmIDs: algorithms,
  }).catch(() => undefined) // it throws for each flaw
  if (!verified?.verified) return undefined
  const { credential, aaguid, credentialDeviceType, credentialBackedUp } = verified.registrationInfo
  return {
    challenge,
    credentialId: Buffer.from(credential.id, 'base64url'),
    publicKey: Buffer.from(credential.publicKey),
    counter: credential.counter,
    transports: response.response.transports,
    aaguid,
    isBackupEligible: credentialDeviceType === 'multiDevice',
    isBackedUp: credentialBackedUp,
  }
}

/**
 * Verifies the signature of a passkey and accepts it, once. A rejected answer uses its challenge up.
 *
 * @param options.accountId - The account whose passkey it must be, if the person is known already.
 */
export async function verifyAssertion(
  tx: Tx,
  rp: RelyingParty,
  asked: Asked,
  text: string,
  { accountId }: { accountId?: string | undefined } = {},
): Promise<PasskeyHolder | Refused> {
  const response = parseResponse(text, authenticationResponse)
  if (!response) return { refusal: 'invalid' }
  const challenge = challengeIn(response)
  const refuse = async (refusal: PasskeyRefusal, passkey?: passkeys.Passkey): Promise<Refused> => {
    await challenges.spend(tx, challenge, asked.browserHash)
    return { refusal, credentialId: response.id, accountId: passkey?.accountId }
  }

  const passkey = await passkeys.findByCredentialId(tx, Buffer.from(response.id, 'base64url'))
  if (!passkey) return refuse('unknown')
  const { userHandle } = response.response
  const isOfHolder = userHandle
    ? passkey.userHandle.equals(Buffer.from(userHandle, 'base64url'))
    : accountId !== undefined
  if (!isOfHolder || (accountId !== undefined && passkey.accountId !== accountId)) return refuse('invalid', passkey)

  const verified = await verifyAuthenticationResponse({
    response: { ...response, response: { ...response.response, userHandle: userHandle ?? undefined } } as Parameters<
      typeof verifyAuthenticationResponse
    >[0]['response'],
    expectedChallenge: challenge,
    expectedOrigin: rp.origin,
    expectedRPID: rp.id,
    // The counter is compared where it is raised, so that two copies of an authenticator cannot both pass.
    credential: { id: response.id, publicKey: new Uint8Array(passkey.publicKey), counter: 0 },
    requireUserVerification: needsUserVerification(asked.purpose),
  }).catch(() => undefined) // it throws for each flaw
  if (!verified?.verified) return refuse('invalid', passkey)
  const { newCounter, credentialBackedUp, credentialDeviceType, userVerified } = verified.authenticationInfo
  // A passkey cannot become one that is copied (WebAuthn Level 3 §7.2, step 19).
  if (passkey.isBackupEligible !== (credentialDeviceType === 'multiDevice')) return refuse('invalid', passkey)

  const asserted = await passkeys.assert(tx, {
    ...asked,
    origin: rp.origin,
    challenge,
    credentialId: passkey.credentialId,
    counter: newCounter,
    isBackedUp: credentialBackedUp,
  })
  if (asserted) return { ...asserted, isUserVerified: userVerified }
  const isCopied = (newCounter > 0 || passkey.counter > 0) && newCounter <= passkey.counter
  return refuse(isCopied ? 'copied' : 'invalid', passkey)
}
