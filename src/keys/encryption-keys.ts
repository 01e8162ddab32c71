import { randomBytes } from 'node:crypto'
import { link, mkdir, readFile, unlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Config } from '../config.ts'
import { type Secret, secret } from '../secret.ts'

/**
 * The key-encryption keys: as configured, or, with the embedded database, one that is made on the first
 * start and kept beside it, readable by its owner only.
 */
export async function load(config: Config): Promise<readonly Secret[]> {
  if (config.ENCRYPTION_KEYS) return config.ENCRYPTION_KEYS
  const path = join(config.DATA_DIR, 'encryption.key')
  await mkdir(config.DATA_DIR, { recursive: true, mode: 0o700 })
  // Written whole under another name and then linked: a key is never half there, and never overwritten.
  const draft = `${path}.${process.pid}`
  await writeFile(draft, `${randomBytes(32).toString('base64')}\n`, { mode: 0o600, flush: true })
  try {
    await link(draft, path)
  } catch (error) {
    if ((error as { code?: string }).code !== 'EEXIST') throw error
  } finally {
    await unlink(draft)
  }
  const key = (await readFile(path, 'utf8')).trim()
  if (Buffer.from(key, 'base64').length !== 32) {
    throw new Error(
      `${path} is damaged: it must hold 32 bytes in base64. Restore it from a backup; without it the stored keys cannot be read.`,
    )
  }
  return [secret(key)]
}
