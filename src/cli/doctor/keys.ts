import type { Config } from '../../config/index.ts'
import type { Envelope } from '../../crypto/envelope.ts'
import type { Db } from '../../database/schema.ts'
import { rules } from '../../keys/life-cycle.ts'
import { ahead } from '../../keys/rotation.ts'
import * as encryptionKeys from '../../stores/keys/encryption-keys.ts'
import * as keys from '../../stores/keys/keys.ts'
import { type Finding, messageOf, ok, problem, warning } from './finding.ts'

const patienceMs = 3_600_000 // a running server takes each step within minutes

/** Examines whether the keys exist, can be decrypted, and rotate. */
export async function keyFindings(db: Db, config: Config, envelope: Envelope): Promise<Finding[]> {
  const known = await keys.list(db)
  const missing = (await encryptionKeys.list(db)).filter(({ id }) => !envelope.keyIds.includes(id))
  if (missing.length > 0) {
    return [
      problem(
        `Encryption keys are missing: ${missing.map(({ id }) => id).join(', ')}`,
        'Put them into ENCRYPTION_KEYS, or ENCRYPTION_KEYS_FILE, again. Otherwise what they encrypted cannot be read.',
      ),
    ]
  }
  try {
    await keys.open(db, envelope)
  } catch (error) {
    return [
      problem(
        `The keys cannot be decrypted: ${messageOf(error)}`,
        'Set the ENCRYPTION_KEYS that this database was used with.',
      ),
    ]
  }
  return [
    ok(
      `${envelope.keyIds.length === 1 ? 'The encryption key decrypts' : 'The encryption keys decrypt'} what is in the database`,
    ),
    ...lifeFindings(known, config),
  ]
}

function lifeFindings(known: readonly keys.Key[], config: Config): Finding[] {
  const lacking = [...rules(config).keys()].filter(
    (purpose) => !known.some((key) => key.purpose === purpose && key.state === 'active'),
  )
  if (lacking.length > 0) {
    return [
      warning(`There is no key in use for ${lacking.join(', ')}`, 'The server creates missing keys at its next start.'),
    ]
  }
  const due = ahead(known, config).map(({ at }) => at.getTime())
  const next = Math.min(...due)
  if (next < Date.now() - patienceMs) {
    return [
      warning(
        `A step in the rotation of a key has been due since ${new Date(next).toISOString()}`,
        'A running server takes it. Start the server, and look in its log for the reason why it could not.',
      ),
    ]
  }
  const when = Number.isFinite(next) ? `; the next step of a rotation is due at ${new Date(next).toISOString()}` : ''
  return [ok(`Every purpose has a key in use${when}`)]
}
