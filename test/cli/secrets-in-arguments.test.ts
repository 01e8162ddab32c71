import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { operations } from '../../src/admin/operations/index.ts'
import { postern as commandLine, posternProcess } from '../support/command-line.ts'
import { startPostern, type TestPostern } from '../support/postern.ts'

const secret = 'correct-horse-battery-staple'
let postern: TestPostern

beforeAll(async () => {
  postern = await startPostern()
})
afterAll(() => postern?.stop())

const run = (args: string[], input = '') => commandLine(args, { env: postern.env, input })

/** Every option of every command whose value is a secret. */
const secretOptions = operations().flatMap(({ noun, verb, input }) =>
  Object.entries(input.shape)
    .filter(([, schema]) => (schema as { meta(): Record<string, unknown> | undefined }).meta()?.['secret'])
    .map(([name]) => ({ command: [noun, verb], option: `--${name.replaceAll('_', '-')}` })),
)

describe('a secret', () => {
  test('is an option of exactly these commands', () => {
    expect(secretOptions.map(({ command, option }) => [...command, option].join(' ')).sort()).toEqual([
      'account create --password',
      'account set-password --password',
      'client set-secret --client-secret',
      'upstream set-secret --secret',
    ])
  })

  const commandLines = secretOptions.flatMap(({ command, option }) => [
    [...command, 'ada@example.com', option, secret].join(' '),
    [...command, `${option}=${secret}`, option, secret].join(' '),
  ])
  test.each(commandLines)('is not accepted as an argument, where others could read it: %s', async (line) => {
    const { code, stdout, stderr } = await run(line.split(' '), `${secret}\n`)
    expect([code, stdout]).toEqual([2, ''])
    expect(stderr).toContain('is not accepted as an argument, which others could read.')
    expect(stderr).toContain('reads it from standard input')
    expect(stderr).not.toContain(secret)
  })

  test('is read from standard input', async () => {
    const surroundings = { env: postern.env, input: `${secret}\n` }
    const created = await posternProcess(['account', 'create', '--email', 'ada@example.com'], surroundings)
    expect([created.code, created.stderr]).toEqual([0, ''])
    expect(await run(['account', 'set-password', 'ada@example.com'], `${secret}-2`)).toMatchObject({ code: 0 })
  })

  test('is described in --help as read from standard input', async () => {
    for (const { command } of secretOptions) {
      expect((await run([...command, '--help'])).stdout).toContain(
        'the command asks for it or reads it from standard input.',
      )
    }
  })
})
