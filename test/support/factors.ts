import { createActing } from '../../src/accounts/acting.ts'
import { beginTotp, confirmTotp } from '../../src/accounts/second-factors.ts'
import { codeOf, stepAt } from '../../src/authentication/totp.ts'
import type { TestPostern } from './postern.ts'

/** An authenticator app of an account, and the recovery codes that came with it. */
export type App = {
  /** Returns the code that the app shows, some time steps before or after the present one. */
  code(steps?: number): string
  secret: Buffer
  recoveryCodes: string[]
}

/** Sets up an authenticator app for an account. Its first code is of the step before, so that the present one is unused. */
export async function addApp({ server }: TestPostern, accountId: string): Promise<App> {
  const { database, storage, keyring } = server.postern
  const act = createActing({ db: database.db, envelope: storage.envelope })
  const by = { requestId: 'test', address: '127.0.0.1' }
  const secret = await act(by, (context) => beginTotp(context, accountId))
  if (secret === 'has-one') throw new Error('The account has an app.')
  const code = (steps = 0) => codeOf(secret, stepAt(Date.now()) + steps)
  const recoveryKey = keyring.recoveryCodeKey
  const confirmed = await act(by, (context) => confirmTotp(context, accountId, { code: code(-1), recoveryKey }))
  if (confirmed === 'wrong-code') throw new Error('The app was not confirmed.')
  return { code, secret, recoveryCodes: confirmed.recoveryCodes }
}
