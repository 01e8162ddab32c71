import { describe, expect, test } from 'vitest'
import { findCommand } from '../../src/cli/commands.ts'
import { readArguments } from '../../src/cli/run-command.ts'

function given(...args: string[]) {
  const found = findCommand(['account', 'create'])
  if (!found) throw new Error('there is no account create')
  return readArguments(found.command, args)
}

describe('an option that is true or false', () => {
  test('means true without a value, wherever it stands', () => {
    for (const args of [
      ['--email-verified', 'ada@example.com'],
      ['ada@example.com', '--email-verified'],
      ['--email-verified', '--email', 'ada@example.com'],
    ])
      expect(given(...args)).toEqual({ email: 'ada@example.com', 'email-verified': 'true' })
  })

  test('has the value that follows it', () => {
    expect(given('--email-verified', 'false')).toEqual({ 'email-verified': 'false' })
    expect(given('--email-verified=false')).toEqual({ 'email-verified': 'false' })
    expect(given('--email-verified', 'true', 'ada@example.com')).toMatchObject({ 'email-verified': 'true' })
  })
})
