import { describe, expect, test } from 'vitest'
import { addressOf, isAccepted } from '../../src/registration/documents.ts'

describe('the host of a document is checked', () => {
  test.each<[id: string, hosts: string[], isAccepted: boolean]>([
    ['https://claude.ai/app', ['claude.ai'], true],
    ['https://claude.ai/app', ['other.example', 'claude.ai'], true],
    ['https://claude.ai/app', ['*'], true],
    ['https://claude.ai/app', [], false],
    ['https://claude.ai:8443/app', ['claude.ai'], false],
    ['https://claude.ai:8443/app', ['claude.ai:8443'], true],
    ['https://app.claude.ai/app', ['claude.ai'], false],
    ['https://app.claude.ai/app', ['*.claude.ai'], true],
    ['https://a.b.claude.ai/app', ['*.claude.ai'], true],
    ['https://claude.ai/app', ['*.claude.ai'], false],
    ['https://notclaude.ai/app', ['*.claude.ai'], false],
    ['https://claude.ai.evil.example/app', ['claude.ai', '*.claude.ai'], false],
    ['https://app.claude.ai:8443/app', ['*.claude.ai'], false],
  ])('so that %s is accepted with %j: %j', (id, hosts, expected) => {
    const url = addressOf(id)
    expect(url).toBeDefined()
    expect(url && isAccepted(url, hosts)).toBe(expected)
  })
})

describe('the address of a document', () => {
  test.each([
    'https://app.example/client.json?',
    'https://app.example/client.json?json=1&x=octet',
    'https://app.example/?client.json',
    'https://app.example/client.json?#',
    'https://app.example/client.json#x',
  ])('has neither a query nor a fragment: %s', (id) => {
    expect(addressOf(id)).toBeUndefined()
  })
})
