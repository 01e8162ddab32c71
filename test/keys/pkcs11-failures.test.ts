import { execFile } from 'node:child_process'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { inspect, promisify } from 'node:util'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { type Config, parse } from '../../src/config/index.ts'
import type { KeyService } from '../../src/keys/key-service.ts'
import { refusalOf } from '../../src/keys/pkcs11/cryptoki.ts'
import { open } from '../../src/keys/pkcs11/index.ts'
import { createToken, hasSoftHsm, initializeToken, pin, type SoftToken, softhsm } from '../support/softhsm.ts'

const run = promisify(execFile)
const program = join(import.meta.dirname, 'signing-process.ts')
const data = Buffer.from('to be signed')
const retryAfterMs = 100
const opened: KeyService[] = []
let token: SoftToken

async function service(config: Config = token.config): Promise<KeyService> {
  const found = await open(config, { retryAfterMs })
  if (!found) throw new Error('There is no key-management service.')
  opened.push(found)
  return found
}

/** Repeats the work until it succeeds. */
function eventually(work: () => Promise<Buffer>): Promise<Buffer> {
  return vi.waitFor(work, { timeout: 120_000, interval: 100 })
}

describe.runIf(hasSoftHsm)('a PKCS #11 token', () => {
  beforeEach(async () => {
    token = await createToken()
  })
  afterEach(async () => {
    for (const one of opened.splice(0)) await one.close()
    await token.remove()
  })

  describe('is refused at the start', () => {
    test('when it rejects the PIN, which is tried once and never printed', async () => {
      const wrong = '271828'
      const before = await token.logins()
      const refused = open(token.with({ PKCS11_MODULE: token.spy, PKCS11_PIN: wrong }))
      await expect(refused).rejects.toThrow('The token rejected PKCS11_PIN. It is not tried again')
      const error = await refused.catch((one: unknown) => one)
      expect(inspect(error, { depth: 5, showHidden: true })).not.toContain(wrong)
      expect((await token.logins()) - before).toBe(1)
    })

    test('when the module does not exist', async () => {
      const missing = open(token.with({ PKCS11_MODULE: '/usr/lib/missing.so' }))
      await expect(missing).rejects.toThrow('PKCS11_MODULE cannot be loaded as a PKCS #11 module.')
      await expect(missing).rejects.toHaveProperty('cause.message', expect.stringContaining('/usr/lib/missing.so'))
    })

    test('when the named file is another library', async () => {
      const other = open(
        token.with({ PKCS11_MODULE: join(dirname(program), '../../node_modules/pkcs11js/build/Release/pkcs11.node') }),
      )
      await expect(other).rejects.toThrow('PKCS11_MODULE cannot be loaded as a PKCS #11 module.')
    })

    test('when the module has no token with that label, and the message lists those it has', async () => {
      await expect(open(token.with({ PKCS11_TOKEN: 'another' }))).rejects.toThrow(
        `PKCS11_TOKEN names no token of ${softhsm}: it has "postern", not "another".`,
      )
    })

    test('when two tokens have that label', async () => {
      await initializeToken('postern')
      await expect(open(token.config)).rejects.toThrow(
        `PKCS11_TOKEN is ambiguous: ${softhsm} has 2 tokens with the label "postern".`,
      )
    })
  })

  test('that came back is used again, although requests failed while it was away', async () => {
    const { generate, sign, destroy } = await service()
    const { reference } = await generate('EdDSA', 'patient')
    const signature = await sign(reference, 'EdDSA', data)
    await token.takeAway()
    await expect(sign(reference, 'EdDSA', data)).rejects.toThrow('The key-management service failed: CKR_')
    await expect(destroy(reference)).rejects.toThrow('The key-management service failed: CKR_')
    await expect(generate('EdDSA', 'impatient')).rejects.toThrow('The key-management service failed: CKR_')
    await token.bringBack()
    expect(await eventually(() => sign(reference, 'EdDSA', data))).toEqual(signature)
  })

  test('that is away does not count as having destroyed a key', async () => {
    const { generate, sign, destroy } = await service()
    const { reference } = await generate('EdDSA', 'still-there')
    await token.takeAway()
    await expect(destroy(reference)).rejects.toThrow()
    await token.bringBack()
    await eventually(() => sign(reference, 'EdDSA', data))
  })

  test('may go away and come back during many signatures, none of which is wrong', async () => {
    const { generate, sign } = await service()
    const { reference } = await generate('EdDSA', 'busy')
    const signature = await sign(reference, 'EdDSA', data)
    const signing = Array.from({ length: 300 }, () => sign(reference, 'EdDSA', data))
    const settled = Promise.allSettled(signing)
    await signing[20]
    await token.takeAway()
    await token.bringBack()
    const outcomes = await settled
    const made = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []))
    expect(made.length).toBeGreaterThan(20)
    for (const one of made) expect(one).toEqual(signature)
    expect(await eventually(() => sign(reference, 'EdDSA', data))).toEqual(signature)
  })

  test('whose sessions were closed from outside gets another login, unnoticed by the caller', async () => {
    const { generate, sign } = await service()
    const { reference } = await generate('EdDSA', 'unnoticed')
    const signature = await sign(reference, 'EdDSA', data)
    const { default: pkcs11js } = await import('pkcs11js' as string)
    const cryptoki = new pkcs11js.PKCS11(softhsm)
    cryptoki.C_CloseAllSessions(cryptoki.C_GetSlotList(true)[0])
    expect(await sign(reference, 'EdDSA', data)).toEqual(signature)
    cryptoki.C_Finalize()
    expect(await sign(reference, 'EdDSA', data)).toEqual(signature)
  })

  test('whose PIN was changed gets the old one once more, and never again', async () => {
    const before = await token.logins()
    const { generate, sign } = await service(token.with({ PKCS11_MODULE: token.spy }))
    const { reference } = await generate('EdDSA', 'locked-out')
    expect((await token.logins()) - before).toBe(1)
    await token.tool('--change-pin', '--new-pin', '161803')
    await token.takeAway()
    await expect(sign(reference, 'EdDSA', data)).rejects.toThrow()
    await token.bringBack()
    await vi.waitFor(() => expect(sign(reference, 'EdDSA', data)).rejects.toThrow('The token rejected PKCS11_PIN.'), {
      timeout: 120_000,
    })
    for (let index = 0; index < 5; index++) {
      await sleep(retryAfterMs)
      await expect(sign(reference, 'EdDSA', data)).rejects.toThrow('The token rejected PKCS11_PIN.')
    }
    expect((await token.logins()) - before).toBe(2)
  })

  test('is not used once its service is closed', async () => {
    const { generate, sign, close } = await service()
    const { reference } = await generate('EdDSA', 'closed')
    await close()
    await expect(sign(reference, 'EdDSA', data)).rejects.toThrow('The key-management service was closed.')
  })

  test('is never given a reference to a key elsewhere', async () => {
    const { sign } = await service()
    await expect(sign('arn:aws:kms:eu-west-1:1:key/2', 'EdDSA', data)).rejects.toThrow('Not a reference to a key')
  })
})

describe('a configured token', () => {
  test('is not given a PIN that could lock it', () => {
    expect(refusalOf({ flags: 0x42d })).toBeUndefined()
    expect(refusalOf({ flags: 0x1042d })).toBeUndefined() // the PIN was mistyped once
    expect(refusalOf({ flags: 0x2042d })).toContain('One more wrong PIN would lock the token')
    expect(refusalOf({ flags: 0x4042d })).toContain('is locked')
  })

  test('without its package makes Postern name the package to install', async () => {
    const without = `import { registerHooks } from 'node:module'
      registerHooks({ resolve: (name, context, next) => next(name === 'pkcs11js' ? 'pkcs11js-is-missing' : name, context) })`
    const hooks = `data:text/javascript,${encodeURIComponent(without)}`
    const env = { PKCS11_MODULE: softhsm, PKCS11_TOKEN: 'postern', PKCS11_PIN: pin }
    const { stdout } = await run(process.execPath, ['--import', hooks, program, 'ES256', 'any', '1'], { env })
    expect(JSON.parse(stdout).error).toBe(
      'PKCS11_MODULE needs the npm package pkcs11js 2.1.7, which is not installed and built; see docs/key-service.md.',
    )
  })

  test('exists only if its settings do', async () => {
    expect(await open(parse({}))).toBeUndefined()
  })
})
