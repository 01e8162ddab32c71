import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { asText } from '../../src/cli/tables.ts'
import { styleFor } from '../../src/log/style.ts'
import { postern as commandLine } from '../support/command-line.ts'
import { startPostern, type TestPostern } from '../support/postern.ts'
import { atTerminal } from '../support/terminal.ts'

const plain = styleFor({ isTTY: false }, {})
const controlSequence = '\u001b'

let postern: TestPostern
beforeAll(async () => {
  postern = await startPostern()
  await postern.createAccount('ada@example.com', { name: 'Ada' })
})
afterAll(() => postern?.stop())

const terminal = (args: string[], env = {}) => atTerminal(args, { env: { ...postern.env, ...env }, answer: '' })

describe('the output of a command', () => {
  test('is a table at a terminal', async () => {
    const { shown } = await terminal(['account', 'list'], { NO_COLOR: '1' })
    const [header = '', row = '', ...rest] = shown.split('\r\n')
    expect(header).toMatch(/^id +email +email_verified +disabled$/)
    expect(row).toMatch(/^[\w-]+ +ada@example\.com +yes +no$/)
    expect(rest.join(' ')).toContain('Not shown: claims.')
    expect(header.indexOf('email')).toBe(row.indexOf('ada@'))
  })

  test('is JSON with --json, and in a pipe', async () => {
    const { shown } = await terminal(['account', 'list', '--json'])
    const piped = await commandLine(['account', 'list'], { env: postern.env })
    for (const text of [shown, piped.stdout]) {
      expect(JSON.parse(text)).toMatchObject({ items: [{ email: 'ada@example.com' }] })
    }
  })

  test('has colours at a terminal, unless NO_COLOR is set', async () => {
    expect((await terminal(['account', 'show', 'ada@example.com'], { TERM: 'xterm' })).shown).toContain(
      `${controlSequence}[1m`,
    )
    expect((await terminal(['account', 'show', 'ada@example.com'], { NO_COLOR: '1' })).shown).not.toContain(
      controlSequence,
    )
    expect(styleFor({ isTTY: false }, {}).red('x')).toBe('x')
  })

  test('lets no name control the terminal or turn the direction of its text', () => {
    const items = [{ client_name: `${controlSequence}]0;owned\u0007\u202e\u009b31m` }]
    for (const output of [{ items }, items[0]]) {
      const text = asText(output, { width: 80, style: plain })
      expect(text).not.toMatch(/[^\P{Cc}\n]|\u202e/u)
      expect(text).toContain('\\u001b]0;owned\\u0007\\u202e\\u009b31m')
    }
  })

  test('fits the terminal: columns without room are named below the table', () => {
    const items = [{ id: 'a'.repeat(30), name: 'b'.repeat(30), address: 'c'.repeat(30), empty: undefined }]
    const text = asText({ items }, { width: 70, style: plain })
    expect(text.split('\n')[0]?.trim()).toMatch(/^id +name$/)
    expect(text).toContain('Not shown: address.')
  })

  test('says so when there is nothing, and how to continue when there is more', () => {
    expect(asText({ items: [] }, { width: 80, style: plain })).toBe('There are none.\n')
    expect(asText({ items: [{ id: 1 }], next_cursor: 'abc' }, { width: 80, style: plain })).toContain('--cursor abc')
  })
})

describe('the help of a command', () => {
  const help = async (...args: string[]) => (await commandLine([...args, '--help'], { env: {} })).stdout

  test('shows the usage and the required options, and groups a long list', async () => {
    expect(await help('account', 'create')).toContain(
      'Usage: postern account create EMAIL [options]\n\nRequired:\n  --email',
    )
    const text = await help('client', 'create')
    for (const title of ['What people see', 'How it authenticates', 'Signatures and encryption']) {
      expect(text).toContain(`\n\n${title}:\n  --`)
    }
  })
})

describe('postern start at a terminal', () => {
  test('shows each step with its outcome, and the log as lines for a person', async () => {
    const { port } = postern.server
    const env = { PORT: String(port), NO_COLOR: '1', LOG_LEVEL: 'info', ACESS_TOKEN_TTL_SECONDS: '1' }
    const { code, shown } = await terminal(['start'], env) // it ends because the port is in use
    expect(code).toBe(1)
    expect(shown).toMatch(/✓ Database\r\n/)
    expect(shown).toMatch(/✓ Tables\r\n/)
    expect(shown).toMatch(/✓ Keys\r\n/)
    expect(shown).toContain(`✗ Port ${port} of 127.0.0.1`)
    expect(shown).toMatch(/\d\d:\d\d:\d\d warn unknown setting: a similar one exists {2}name=ACESS_TOKEN_TTL_SECONDS/)
    expect(shown).toContain(`Port ${port} is in use.`)
  })

  test('writes JSON with LOG_FORMAT=json', async () => {
    const env = { PORT: String(postern.server.port), LOG_FORMAT: 'json', ACESS_TOKEN_TTL_SECONDS: '1' }
    const { shown } = await terminal(['start'], env)
    expect(shown).toContain('"meant":"ACCESS_TOKEN_TTL_SECONDS"')
    expect(shown).not.toContain('✓')
  })
})
