import { execFile, spawnSync } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startPostern, type TestPostern } from '../support/postern.ts'

const run = promisify(execFile)
const repository = join(import.meta.dirname, '..', '..')

// A user has curl or runs only the other tests; CI has it.
const canRun = process.env['CI'] !== undefined || spawnSync('curl', ['--version']).status === 0

let postern: TestPostern
let folder: string
let output: string

beforeAll(async () => {
  if (!canRun) return
  postern = await startPostern()
  folder = await mkdtemp(join(tmpdir(), 'postern-transcript-'))
  const text = await readFile(join(repository, 'docs/registration.md'), 'utf8')
  const commands = [...text.matchAll(/^```sh\n([\s\S]*?)^```$/gm)].map(([, block = '']) => block)
  const script = [
    'set -euo pipefail',
    ...commands.map((block) =>
      block
        .replace('http://localhost:3000', postern.issuer)
        .replaceAll('./postern ', `${join(repository, 'postern')} `),
    ),
  ].join('\n')
  const PATH = [dirname(process.execPath), process.env['PATH']].join(delimiter)
  const { stdout } = await run('bash', ['-c', script], { cwd: folder, env: { ...postern.env, PATH } })
  output = stdout
})
afterAll(async () => {
  await postern?.stop()
  if (folder) await rm(folder, { recursive: true, force: true })
})

describe.runIf(canRun)('docs/registration.md, run from top to bottom', () => {
  test('registers a client, reads and updates it, rotates its secret, and deletes it', async () => {
    const rows = await postern.database.query(
      `select type from audit_events where client_id in (select id from clients where dynamic) order by id`,
    )
    expect(rows.map(({ type }) => type)).toEqual([
      'client.registered',
      'client.updated',
      'client.secret_rotated',
      'client.deleted',
    ])
  })

  test('prints the output that the document shows', () => {
    expect(output).toContain('redirect_uris must be on a host that the policy lists (redirect_uris.hosts)')
    expect(output).toMatch(/"client_secret":"[\w-]{64}"/)
    expect(output).toMatch(/"previous_secret_expires_at":"20/)
    expect(output).toMatch(/204\n\{"error":"invalid_token".*\} 401$/m)
  })

  test('needs no program that CI does not install', async () => {
    expect(await readFile(join(repository, '.ci/run'), 'utf8')).toContain('need curl curl')
  })
})
