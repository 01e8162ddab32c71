import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { delimiter, dirname, join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { commandsBelow } from '../support/documented-commands.ts'
import { startPostern, type TestPostern } from '../support/postern.ts'
import { createVisitor } from '../support/visitor.ts'

const repository = join(import.meta.dirname, '..', '..')

// A user has curl or runs only the other tests; CI has it.
const canRun = process.env['CI'] !== undefined || spawnSync('curl', ['--version']).status === 0

let postern: TestPostern
let output: string

beforeAll(async () => {
  if (!canRun) return
  postern = await startPostern()
  await postern.createAccount('you@example.com', { name: 'Ada Lovelace' })
  // The first command creates that account, and asks for a password at a terminal.
  const [, ...commands] = await commandsBelow('docs/first-login.md', 'A first login, by hand')
  const script = ['set -euo pipefail', ...commands]
    .join('\n')
    .replace('http://localhost:3000', postern.issuer)
    .replaceAll('./postern ', `${join(repository, 'postern')} `)
  const PATH = [dirname(process.execPath), process.env['PATH']].join(delimiter)
  const shell = spawn('bash', ['--norc', '-c', script], {
    env: { ...postern.env, PATH },
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const ended = once(shell, 'exit')
  const [address] = (await once(shell.stdout, 'data')) as [Buffer]
  const rest = text(shell.stdout)

  const visitor = createVisitor(postern.issuer)
  const consent = await visitor.signIn(await visitor.get(String(address).trim()), 'you@example.com')
  const { url } = await visitor.allow(consent)
  shell.stdin.end(`${new URL(url).searchParams.get('code')}\n`)
  output = await rest
  expect(await ended).toEqual([0, null])
})
afterAll(() => postern?.stop())

describe.runIf(canRun)('docs/first-login.md, run from top to bottom', () => {
  test('ends with the claims of the person who signed in', () => {
    const [tokens, claims] = output.trim().split('\n')
    expect(JSON.parse(tokens ?? '')).toMatchObject({
      scope: 'openid profile email offline_access',
      token_type: 'Bearer',
    })
    expect(JSON.parse(claims ?? '')).toMatchObject({ name: 'Ada Lovelace', email: 'you@example.com' })
  })
})
