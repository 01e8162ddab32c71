import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Scene } from '../../support/circulation.ts'
import { freePort } from '../../support/postern.ts'
import type { Channels } from './channels.ts'
import { runAll } from './command-line.ts'
import { tokenOf } from './settings.ts'

export const starts = 'starts that fail'

/** Starts servers that cannot start, one after the other, and runs commands with the same settings. */
export async function failToStart({ postern, canaries }: Scene, channels: Channels): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), `postern-${channels.marker(starts)}-`))
  const damaged = canaries.plant('encryption.key that is damaged')
  await writeFile(join(folder, 'encryption.key'), damaged)
  const none = { ENCRYPTION_KEYS_FILE: '', PKCS11_MODULE: '', PKCS11_TOKEN: '', PKCS11_PIN: '' }
  const good = {
    ...none,
    ...postern.env,
    PORT: String(await freePort()),
    WORKERS: '1',
    LOG_LEVEL: 'trace',
    DATABASE_WAIT_SECONDS: '0',
  }
  const password = canaries.plant('setting: DATABASE_URL that is wrong')
  const at = (address: string) => ({ ...good, DATABASE_URL: address })
  const short = Buffer.from(canaries.plant('setting: ENCRYPTION_KEYS that are wrong')).toString('base64')
  const wrong = canaries.plant('setting: ENCRYPTION_KEYS that are wrong').slice(0, 32)
  const environments = {
    'a wrong password': at(Object.assign(new URL(String(postern.env['DATABASE_URL'])), { password }).href),
    'no such host': at(`postgres://postern:${password}@database.invalid/postern`),
    'a closed port': at(`postgres://postern:${password}@127.0.0.1:1/postern`),
    'a password that is no part of a URL': at(`postgres://postern:x/${password}@127.0.0.1/postern`),
    'another database': at(`mysql://postern:${password}@127.0.0.1/postern`),
    'another key': { ...good, ENCRYPTION_KEYS: Buffer.from(wrong).toString('base64') },
    'keys that are too long': { ...good, ENCRYPTION_KEYS: short },
    'settings that are wrong': {
      ...good,
      ENCRYPTION_KEYS: password,
      PORT: password,
      ISSUER: password,
      WORKERS: password,
    },
    'a key that is damaged': { ...good, DATABASE_URL: '', ENCRYPTION_KEYS: '', DATA_DIR: folder },
    'a file of keys that is damaged': {
      ...good,
      ENCRYPTION_KEYS: '',
      ENCRYPTION_KEYS_FILE: join(folder, 'encryption.key'),
    },
    'a token that is not there': { ...good, ...tokenOf(canaries) },
  }
  try {
    const commands = Object.values(environments).flatMap((env) => [
      { args: ['start'], env },
      { args: ['account', 'list'], env },
    ])
    const { logged, outcomes } = await runAll({}, commands)
    channels.write(starts, logged)
    for (const { args, code, stdout, stderr } of outcomes) {
      if (code === 0) throw new Error(`${args.join(' ')} succeeded: ${stdout}`)
      channels.write(starts, stdout + stderr)
    }
  } finally {
    await rm(folder, { recursive: true })
  }
}
