import { createInterface } from 'node:readline/promises'
import { Writable } from 'node:stream'

/** Asks for a secret, and does not show it while it is typed. Without a terminal, standard input is the secret. */
export async function readSecret(name: string): Promise<string> {
  if (!process.stdin.isTTY) return (await readStandardInput()).replace(/\r?\n$/, '')
  let isMuted = false
  const output = new Writable({
    write(chunk, _encoding, done) {
      if (!isMuted) process.stderr.write(chunk)
      done()
    },
  })
  const terminal = createInterface({ input: process.stdin, output, terminal: true })
  const answer = terminal.question(`${name}: `)
  isMuted = true // from here on, nothing typed is shown
  try {
    return await answer
  } finally {
    terminal.close()
    process.stderr.write('\n')
  }
}

/** Asks a question. Any answer except yes counts as no. */
export async function confirm(question: string): Promise<boolean> {
  const terminal = createInterface({ input: process.stdin, output: process.stderr })
  const closed = new Promise<string>((resolve) => terminal.once('close', () => resolve(''))) // Ctrl-D answers too
  try {
    const answer = await Promise.race([terminal.question(`${question} [y/N] `), closed])
    return /^y(es)?$/i.test(answer.trim())
  } finally {
    terminal.close()
  }
}

export async function readStandardInput(): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of process.stdin) chunks.push(chunk)
  return Buffer.concat(chunks).toString('utf8')
}
