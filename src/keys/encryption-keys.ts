import { randomBytes } from 'node:crypto'
import { link, readFile, unlink, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import type { Config } from '../config/index.ts'
import { findKeyMistake, keyRemedy } from '../config/key-encryption-keys.ts'
import type { Envelope } from '../crypto/envelope.ts'
import { isThere, pathsIn, readIfThere } from '../database/embedded/cluster.ts'
import { assertPossible, createDataDir, unusable } from '../database/embedded/data-dir.ts'
import type { Db } from '../database/schema.ts'
import { type Secret, secret } from '../secret.ts'
import * as encryptionKeys from '../stores/keys/encryption-keys.ts'
import * as keys from '../stores/keys/keys.ts'
import * as sealedValues from '../stores/keys/sealed-values.ts'
import * as locks from '../stores/operations/locks.ts'

/**
 * The key-encryption keys: as configured, or, with the embedded database, one that is made on the first
 * start and kept beside it, readable by its owner only. The first encrypts, all decrypt.
 */
export async function load(config: Config): Promise<readonly Secret[]> {
  if (config.ENCRYPTION_KEYS) return config.ENCRYPTION_KEYS
  if (config.ENCRYPTION_KEYS_FILE !== undefined) return readConfigured(config.ENCRYPTION_KEYS_FILE)
  await assertPossible(config.DATA_DIR)
  const { cluster } = pathsIn(resolve(config.DATA_DIR))
  const path = join(config.DATA_DIR, 'encryption.key')
  // In this order: whoever makes both at this moment makes the key first.
  const isInUse = await isThere(cluster)
  let text = await readIfThere(path)
  if (text === undefined) {
    if (isInUse) {
      throw new Error(
        `${path}, the key that the data in ${cluster} is encrypted with, is missing. Restore it from a backup, or set ENCRYPTION_KEYS again if they were set before.`,
      )
    }
    await make(path, config.DATA_DIR)
    text = await readFile(path, 'utf8')
  }
  return parse(text, {
    complaint: `${path} is damaged: `,
    remedy: 'Restore it from a backup: what was encrypted with it can be read with nothing else.',
  })
}

async function readConfigured(path: string): Promise<readonly Secret[]> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    throw new Error(`ENCRYPTION_KEYS_FILE: ${path} cannot be read (${(error as NodeJS.ErrnoException).code}).`)
  }
  return parse(text, { complaint: `ENCRYPTION_KEYS_FILE: in ${path}, `, remedy: keyRemedy })
}

/** Written whole under another name and then linked: a key is never half there, and never overwritten. */
async function make(path: string, folder: string): Promise<void> {
  await createDataDir(folder)
  const draft = `${path}.${process.pid}`
  try {
    await writeFile(draft, `${randomBytes(32).toString('base64')}\n`, { mode: 0o600, flush: true })
  } catch (error) {
    throw unusable(draft, (error as NodeJS.ErrnoException).code)
  }
  try {
    await link(draft, path)
  } catch (error) {
    if ((error as { code?: string }).code !== 'EEXIST') throw error
  } finally {
    await unlink(draft)
  }
}

function parse(text: string, { complaint, remedy }: { complaint: string; remedy: string }): Secret[] {
  const lines = text.split('\n').map((line, index) => ({ line: line.trim(), number: index + 1 }))
  const written = lines.filter(({ line }) => line !== '' && !line.startsWith('#'))
  if (written.length === 0) throw new Error(`${complaint}there is no key. ${remedy}`)
  const mistake = findKeyMistake(written.map(({ line }) => line))
  if (mistake) {
    const { number } = written[mistake.position - 1] ?? {}
    throw new Error(`${complaint}the key in line ${number} ${mistake.problem}. ${remedy}`)
  }
  return written.map(({ line }) => secret(line))
}

/**
 * Refuses a database in which something is sealed with a key that is not here, before anything is sealed with
 * another. Otherwise notes the key that is going to be used; one process after the other, so that two with different
 * keys do not both begin.
 */
export async function assertComplete(db: Db, envelope: Envelope): Promise<void> {
  await db.transaction().execute(async (tx) => {
    await locks.take(tx, 'encryption keys')
    const known = new Map((await encryptionKeys.list(tx)).map(({ id, createdAt }) => [id, createdAt]))
    const inUse = (await sealedValues.countByKey(tx, 'keys.sealed')).flatMap(({ keyId }) => keyId ?? [])
    const missing = [...new Set([...known.keys(), ...inUse])].filter((id) => !envelope.keyIds.includes(id))
    if (missing.length > 0) throw new Error(incomplete(missing.map((id) => ({ id, since: known.get(id) }))))
    await keys.open(tx, envelope)
    // In a database from before they were noted, something may be sealed with any of them.
    const isFirstNote = known.size === 0 && inUse.length > 0
    await encryptionKeys.add(tx, isFirstNote ? envelope.keyIds : [envelope.sealingKeyId])
  })
}

/** Refuses a database whose keys cannot be opened before a migration, by which `assertComplete` has to wait for its tables. */
export async function assertFitting(db: Db, envelope: Envelope): Promise<void> {
  const missing = [...new Set(await keys.sealingKeyIds(db))].filter((id) => !envelope.keyIds.includes(id))
  if (missing.length > 0) throw new Error(incomplete(missing.map((id) => ({ id, since: undefined }))))
}

/**
 * Notes the key that this process seals with. To be repeated, so that one which goes on with an old key after others
 * took it for unused is noticed.
 */
export async function record(db: Db, { sealingKeyId }: Envelope): Promise<void> {
  await encryptionKeys.add(db, [sealingKeyId])
}

function incomplete(missing: { id: string; since: Date | undefined }[]): string {
  const sentences = missing.map(({ id, since }) => {
    const age = since ? ` It has been in use since ${since.toISOString()}.` : ''
    return `The database holds what is sealed with key ${id}, which is not in ENCRYPTION_KEYS or the file in their place.${age}`
  })
  return [
    ...sentences,
    'Nothing was changed. Add it to ENCRYPTION_KEYS again, after the new one, and run "postern secrets rotate" before removing it.',
  ].join(' ')
}
