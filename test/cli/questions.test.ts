import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { operations } from '../../src/admin/operations/index.ts'
import { postern as commandLine } from '../support/command-line.ts'
import { startPostern, type TestPostern } from '../support/postern.ts'
import { atTerminal } from '../support/terminal.ts'

let postern: TestPostern
beforeAll(async () => {
  postern = await startPostern()
})
afterAll(() => postern?.stop())

const email = 'ada@example.com'
const isThere = async () =>
  (await postern.database.query('select 1 from accounts where email = $1', [email])).length > 0

async function deleteAt(answer: string, ...options: string[]) {
  if (!(await isThere())) await postern.createAccount(email)
  const outcome = await atTerminal(['account', 'delete', email, ...options], { env: postern.env, answer })
  return { ...outcome, isThere: await isThere() }
}

describe('a command that destroys data', () => {
  test('is exactly a command that deletes, erases or revokes', () => {
    const all = operations()
    const destroying = all.filter(({ verb, http }) => http.method === 'DELETE' || /^(delete|erase|revoke)/.test(verb))
    expect(destroying.length).toBeGreaterThan(6)
    expect(all.filter(({ isDestructive }) => isDestructive)).toEqual(destroying)
  })

  test.each(['n\n', '\n', 'maybe\n', '\u0004'])('does nothing at a terminal when the answer is %j', async (answer) => {
    const { code, shown, isThere } = await deleteAt(answer)
    expect(shown).toContain(`Delete an account and its sessions, grants and tokens: "${email}".`)
    expect(shown).toContain('Nothing was changed.')
    expect([code, isThere]).toEqual([1, true])
  })

  test.each(['y\n', 'YES\n'])('runs at a terminal when the answer is %j', async (answer) => {
    expect(await deleteAt(answer)).toMatchObject({ code: 0, isThere: false })
  })

  test.each(['--yes', '-y'])('does not ask with %s', async (option) => {
    const { code, shown, isThere } = await deleteAt('', option)
    expect(shown).not.toContain('[y/N]')
    expect([code, isThere]).toEqual([0, false])
  })

  test.each([[[]], [['--yes']]])('does not ask without a terminal, so that scripts work, with %j', async (options) => {
    await postern.createAccount(email)
    const { code } = await commandLine(['account', 'delete', email, ...options], { env: postern.env })
    expect([code, await isThere()]).toEqual([0, false])
  })

  test('has --yes in its help', async () => {
    expect((await commandLine(['keys', 'revoke', '--help'], { env: postern.env })).stdout).toMatch(
      /-y, --yes +Do not ask/,
    )
  })
})

test('a command that destroys nothing has no --yes', async () => {
  const { code, stderr } = await commandLine(['account', 'list', '--yes'], { env: postern.env })
  expect(code).toBe(2)
  expect(stderr).toContain("Unknown option '--yes'.")
})
