import type { Config } from '../config/index.ts'
import { randomId } from '../crypto/digests.ts'
import type { Mail } from '../stores/operations/letters.ts'
import { headersOf } from './delivery.ts'
import { build } from './message.ts'
import { type Outcome, open } from './transport.ts'

/** Sends one mail at once, past the outbox, and returns the answer of the mail server. */
export async function sendNow(config: Config, mail: Mail): Promise<Outcome> {
  const message = await build(mail, headersOf(config, randomId(16), new Date()))
  if (!message) return { result: 'refused', reason: 'The address is not valid.' }
  let connection: Awaited<ReturnType<typeof open>>
  try {
    connection = await open(config)
  } catch (error) {
    return { result: 'deferred', reason: error instanceof Error ? error.message : String(error) }
  }
  try {
    return await connection.send(message, async () => true)
  } finally {
    connection.close()
  }
}
