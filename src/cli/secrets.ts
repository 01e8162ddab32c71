import type { Postern } from '../assemble/index.ts'
import { type Resealing, reseal } from '../keys/resealing.ts'
import * as encryptionKeys from '../stores/keys/encryption-keys.ts'
import { countAllByKey } from '../stores/keys/sealed-values.ts'
import type { Command } from './command.ts'

/** `postern secrets rotate`. */
const rotate: Command = {
  name: 'secrets rotate',
  summary: 'Encrypt everything under the first encryption key, while the server runs',
  notes: `First give every process the new key: at the end of ENCRYPTION_KEYS, then at the front. The command can be interrupted
and run again. It exits with status 1 if an old key is still needed, and says why.`,
  options: {},
  async run(_, { by, withPostern }) {
    const resealing = await withPostern(({ keys }) => reseal(keys, by))
    print(resealingText(resealing))
    if (!isFinished(resealing)) process.exitCode = 1
  },
}

/** `postern secrets list`. */
const list: Command = {
  name: 'secrets list',
  summary: 'List the IDs of the encryption keys, and the number of values encrypted under each',
  notes: 'It reads every row that may contain an encrypted value.',
  options: {},
  run: async (_, { withPostern }) => print(await withPostern(keysText)),
}

export const secretsCommands: readonly Command[] = [rotate, list]

const isFinished = ({ unreadable, isOutpaced, usedElsewhere }: Resealing) =>
  unreadable.length === 0 && !isOutpaced && usedElsewhere.length === 0

function resealingText(resealing: Resealing): string {
  const { keyId, resealed, unreadable, isOutpaced, retired, usedElsewhere } = resealing
  const counts = Object.entries(resealed).map(([place, count]) => [place, String(count)] as const)
  const lines = [
    counts.length > 0 ? `Encrypted again under ${keyId}:` : `Everything was already encrypted under ${keyId}.`,
    ...table(counts),
    '',
  ]
  if (unreadable.length > 0) {
    lines.push(
      'Unreadable, and left unchanged:',
      ...unreadable.map((sentence) => `  ${sentence}`),
      '',
      'Put the keys named here into ENCRYPTION_KEYS again, delete what is damaged, and rotate again. Keep all keys until then.',
    )
  } else if (isOutpaced) {
    lines.push(
      'Something still encrypts values under another key, or a transaction keeps rows locked. Give every process the new',
      'key first, restart it, and rotate again. Keep all keys until then.',
    )
  } else if (usedElsewhere.length > 0) {
    lines.push(
      `A process still encrypts under ${usedElsewhere.join(', ')}. Give every process the new key first, restart it, and`,
      'rotate again. Keep all keys until then.',
    )
  } else if (retired.length > 0) {
    lines.push(
      `Nothing needs ${retired.join(', ')} now. ENCRYPTION_KEYS, or ENCRYPTION_KEYS_FILE, needs only the first key.`,
    )
  } else lines.push('ENCRYPTION_KEYS, or ENCRYPTION_KEYS_FILE, needs only the first key.')
  return `${lines.join('\n')}\n`
}

async function keysText({ keys: { db, envelope } }: Postern): Promise<string> {
  const known = new Map((await encryptionKeys.list(db)).map(({ id, createdAt }) => [id, createdAt.toISOString()]))
  const counts = await countAllByKey(db)
  const ids = [...new Set([...envelope.keyIds, ...known.keys(), ...[...counts.keys()].sort()])]
  const rows = ids.map((id) => {
    const notes = [
      id === envelope.sealingKeyId && 'encrypts',
      id !== undefined && !envelope.keyIds.includes(id) && 'not in ENCRYPTION_KEYS',
    ]
    return [
      id ?? '(damaged)',
      (id !== undefined && known.get(id)) || '–',
      String(counts.get(id) ?? 0),
      notes.filter(Boolean).join(', '),
    ]
  })
  return `${table([['Key', 'Noted since', 'Values', ''], ...rows]).join('\n')}\n`
}

function table(rows: readonly (readonly string[])[]): string[] {
  const widths = rows[0]?.map((_, index) => Math.max(...rows.map((row) => row[index]?.length ?? 0))) ?? []
  return rows.map((row) => `  ${row.map((cell, index) => cell.padEnd(widths[index] ?? 0)).join('  ')}`.trimEnd())
}

const print = (text: string) => void process.stdout.write(text)
