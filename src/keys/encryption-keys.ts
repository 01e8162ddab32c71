import { randomBytes } from 'node:crypto'
import { link, readFile, unlink, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import type { Config } from '../config/index.ts'
import { findKeyMistake, keyRemedy } from '../config/key-encryption-keys.ts'
import type { Envelope } from '../crypto/envelope.ts'
import { isThere, pathsIn, readIfThere } from '../database/embedded/cluster.ts'
import { assertPossible, createDataDir, unusable } from '../database/embedded/data-dir.ts'
import type { Db, Tx } from '../database/schema.ts'
import { untilOurTurn } from '../database/waiting.ts'
import { type Secret, secret } from '../secret.ts'
import * as encryptionKeys from '../stores/keys/encryption-keys.ts'
import * as keys from '../stores/keys/keys.ts'
import * as sealedValues from '../stores/keys/sealed-values.ts'
import * as locks from '../stores/operations/locks.ts'

/**
 * Loads the key-encryption keys: the configured ones or, with the embedded database, one that is generated on the first
 * start and stored beside it, readable by its owner alone. The first encrypts, all decrypt.
 */
export async function load(config: Config): Promise<readonly Secret[]> {
  if (config.ENCRYPTION_KEYS) return config.ENCRYPTION_KEYS
  if (config.ENCRYPTION_KEYS_FILE !== undefined) return readConfigured(config.ENCRYPTION_KEYS_FILE)
  await assertPossible(config.DATA_DIR)
  const { cluster } = pathsIn(resolve(config.DATA_DIR))
  const path = join(config.DATA_DIR, 'encryption.key')
  // In this order, because a process that creates both creates the key first.
  const isInUse = await isThere(cluster)
  let text = await readIfThere(path)
  if (text === undefined) {
    if (isInUse) {
      throw new Error(
        `The key that encrypts the data in ${cluster} is missing: ${path}. Restore it from a backup, or set ENCRYPTION_KEYS again if they were set before.`,
      )
    }
    await make(path, config.DATA_DIR)
    text = await readFile(path, 'utf8')
  }
  return parse(text, {
    complaint: `${path} is damaged: `,
    remedy: 'Restore it from a backup: nothing else can decrypt the data that it encrypted.',
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

/** Writes a key under another name and then links it, so that it is never incomplete and never overwritten. */
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
 * Checks that this process has every key that values in the database are sealed with, and notes the key that it will
 * seal with. Processes do this one after the other, so that two with different keys cannot both begin.
 *
 * @throws Error that names the missing keys, before anything is sealed with another one.
 */
export async function assertComplete(db: Db, envelope: Envelope): Promise<void> {
  const check = async (tx: Tx) => {
    await locks.take(tx, 'encryption keys')
    const known = new Map((await encryptionKeys.list(tx)).map(({ id, createdAt }) => [id, createdAt]))
    const inUse = (await sealedValues.countByKey(tx, 'keys.sealed')).flatMap(({ keyId }) => keyId ?? [])
    const missing = [...new Set([...known.keys(), ...inUse])].filter((id) => !envelope.keyIds.includes(id))
    if (missing.length > 0) throw new Error(incomplete(missing.map((id) => ({ id, since: known.get(id) }))))
    await keys.open(tx, envelope)
    // In a database from before keys were noted, values may be sealed with any of them.
    const isFirstNote = known.size === 0 && inUse.length > 0
    await encryptionKeys.add(tx, isFirstNote ? envelope.keyIds : [envelope.sealingKeyId])
  }
  await untilOurTurn(() => db.transaction().execute(check))
}

/** Checks before a migration that the keys in a database can be opened; `assertComplete` needs the migrated tables. */
export async function assertFitting(db: Db, envelope: Envelope): Promise<void> {
  const missing = [...new Set(await keys.sealingKeyIds(db))].filter((id) => !envelope.keyIds.includes(id))
  if (missing.length > 0) throw new Error(incomplete(missing.map((id) => ({ id, since: undefined }))))
}

/**
 * Notes the key that this process seals with. Every process repeats it, so that one which still uses an old key is
 * noticed after another one removed that key.
 */
export async function record(db: Db, { sealingKeyId }: Envelope): Promise<void> {
  await encryptionKeys.add(db, [sealingKeyId])
}

function incomplete(missing: { id: string; since: Date | undefined }[]): string {
  const sentences = missing.map(({ id, since }) => {
    const age = since ? ` It has been in use since ${since.toISOString()}.` : ''
    return `The database contains data that is sealed with key ${id}, which is not in ENCRYPTION_KEYS or the file used instead.${age}`
  })
  return [
    ...sentences,
    'Nothing was changed. Add it to ENCRYPTION_KEYS again, after the new one, and run "postern secrets rotate" before you remove it.',
  ].join(' ')
}
