import type { Postern } from '../assemble/index.ts'
import { type Resealing, reseal } from '../keys/resealing.ts'
import * as encryptionKeys from '../stores/keys/encryption-keys.ts'
import { countAllByKey } from '../stores/keys/sealed-values.ts'
import type { Command } from './command.ts'

/** `postern secrets rotate`. */
const rotate: Command = {
  name: 'secrets rotate',
  summary: 'Encrypt everything under the first of the encryption keys, while the server runs',
  notes: `First give every process the new key: at the end of ENCRYPTION_KEYS, then at its front. It can be interrupted, and
run again. It ends with status 1 if an old key is still needed, and says what for.`,
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
  summary: 'Show the encryption keys, by their ids, and how much is encrypted under each',
  notes: 'It reads every row that may hold something encrypted.',
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
    counts.length > 0 ? `Encrypted anew under ${keyId}:` : `Nothing was encrypted under another key than ${keyId}.`,
    ...table(counts),
    '',
  ]
  if (unreadable.length > 0) {
    lines.push(
      'Not readable, and left as it was:',
      ...unreadable.map((sentence) => `  ${sentence}`),
      '',
      'Put the keys it names into ENCRYPTION_KEYS again, delete what is damaged, and rotate again. Keep all keys until then.',
    )
  } else if (isOutpaced) {
    lines.push(
      'Values go on being encrypted under another key, or a transaction holds on to rows. Give every process the new key',
      'first, restart it, and rotate again. Keep all keys until then.',
    )
  } else if (usedElsewhere.length > 0) {
    lines.push(
      `A process encrypts under ${usedElsewhere.join(', ')} still. Give every process the new key first, restart it, and`,
      'rotate again. Keep all keys until then.',
    )
  } else if (retired.length > 0) {
    lines.push(
      `Nothing needs ${retired.join(', ')} any more: ENCRYPTION_KEYS, or the file in their place, may hold the first key alone now.`,
    )
  } else lines.push('ENCRYPTION_KEYS, or the file in their place, may hold the first key alone.')
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
