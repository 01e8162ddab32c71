import type { Page } from 'playwright-core'

/** A passkey in a virtual authenticator, as the browser reports it. */
export type VirtualCredential = { credentialId: string; signCount: number; rpId?: string; privateKey: string }

/** An authenticator that Chromium itself simulates (WebAuthn Level 3 §11), and that answers at once. */
export type VirtualAuthenticator = {
  credentials(): Promise<VirtualCredential[]>
  /** Lets the person unlock it or not. */
  setVerified(isVerified: boolean): Promise<void>
  /** Puts a passkey back as it was at an earlier time, as a copy of the authenticator would have it. */
  turnBack(credential: VirtualCredential, signCount: number): Promise<void>
}

/** Gives the browser of a page an authenticator. `isSynced` makes its passkeys ones that are copied to other devices. */
export async function plugIn(
  page: Page,
  { isSynced = false }: { isSynced?: boolean } = {},
): Promise<VirtualAuthenticator> {
  const devtools = await page.context().newCDPSession(page)
  await devtools.send('WebAuthn.enable', { enableUI: false })
  const { authenticatorId } = await devtools.send('WebAuthn.addVirtualAuthenticator', {
    options: {
      protocol: 'ctap2',
      ctap2Version: 'ctap2_1',
      transport: 'internal',
      hasResidentKey: true,
      hasUserVerification: true,
      isUserVerified: true,
      automaticPresenceSimulation: true,
      defaultBackupEligibility: isSynced,
      defaultBackupState: isSynced,
    },
  })
  return {
    credentials: async () => (await devtools.send('WebAuthn.getCredentials', { authenticatorId })).credentials,
    async setVerified(isUserVerified) {
      await devtools.send('WebAuthn.setUserVerified', { authenticatorId, isUserVerified })
    },
    async turnBack(credential, signCount) {
      await devtools.send('WebAuthn.removeCredential', { authenticatorId, credentialId: credential.credentialId })
      const { size: _size, ...kept } = credential as VirtualCredential & { size?: unknown }
      await devtools.send('WebAuthn.addCredential', {
        authenticatorId,
        credential: { isResidentCredential: true, ...kept, signCount } as never,
      })
    },
  }
}
