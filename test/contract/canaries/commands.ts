import { randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { operations } from '../../../src/admin/operations/index.ts'
import type { Canaries } from '../../support/canaries.ts'
import type { Command } from './command-line.ts'

const redirect = ['--redirect-uris', 'https://rp.example/cb']

/** Lists every command, ordered so that each finds what it needs. The marker names what they create. */
export async function everything(canaries: Canaries, folder: string, marker: string): Promise<Command[]> {
  const email = `${marker}@example.com`
  const file = join(folder, 'postern.yaml')
  await writeFile(
    file,
    `version: 1
clients:
  made: { policy: administrator, redirect_uris: [https://rp.example/cb] }
  chosen: { policy: administrator, redirect_uris: [https://rp.example/cb], client_secret: { env: CHOSEN_SECRET } }`,
  )
  const secret = () => `${canaries.plant('secret given at standard input')}\n`
  const imported = join(folder, 'accounts.ndjson')
  await writeFile(imported, `{"email": "${marker}-imported@example.com"}\n`)
  return [
    { args: ['account', 'create', '--email', email], input: secret() },
    ['account', 'invite', `${marker}-invited@example.com`, '--groups', marker],
    ['account', 'import', imported],
    ['account', 'update', email, '--claims', '{"a": "b"}'],
    { args: ['account', 'set-password', email], input: secret() },
    ...['show', 'require-password-change', 'sign-out', 'disable', 'enable'].map((verb) => ['account', verb, email]),
    ...['add-to-group', 'remove-from-group'].map((verb) => ['account', verb, email, '--group', marker]),
    ['client', 'create', '--client-id', marker, ...redirect],
    ['client', 'update', marker, '--client-name', 'Renamed'],
    { args: ['client', 'set-secret', marker], input: secret() },
    ...['show', 'rotate-secret', 'disable', 'enable'].map((verb) => ['client', verb, marker]),
    ['resource', 'create', 'https://cli.example', '--scopes', 'read=Read'],
    ['resource', 'update', 'https://cli.example', '--name', 'An API'],
    ['resource', 'show', 'https://cli.example'],
    ['upstream', 'create', 'cli', '--issuer', 'https://upstream.example', '--client-id', marker],
    { args: ['upstream', 'set-secret', 'cli'], input: secret() },
    ['upstream', 'update', 'cli', '--display-name', 'Work'],
    ['upstream', 'try', 'cli', '--claims', '{"email": "ada@upstream.example"}'],
    ...['show', 'disable', 'enable'].map((verb) => ['upstream', verb, 'cli']),
    ['registration-policy', 'set', 'cli', '--rules', '{}'],
    ['registration-policy', 'show', 'cli'],
    ['registration-token', 'create', '--policy', 'cli'],
    ['keys', 'rotate', '--purpose', 'ES256'],
    ...operations()
      .filter(({ verb }) => verb === 'list')
      .map(({ noun, verb }) => [noun, verb]),
    ['apply', '-f', file, '--yes'],
    ['apply', '-f', file, '--output', 'json'],
    ['apply', '-f', file, '--dry-run', '--prune'],
    ['export'],
    ['config'],
    ['doctor'],
    ['migrate'],
  ]
}

/** Lists the commands that take an ID from an earlier one, and those that remove what was created. */
export function theRest(marker: string, kid: string, idIn: (command: string) => string): string[][] {
  return [
    ['registration-token', 'revoke', `--id=${idIn('registration-token create')}`],
    ['registration-policy', 'delete', 'cli'],
    ['grant', 'revoke', `--id=${idIn('grant list')}`],
    ['keys', 'revoke', `--kid=${kid}`],
    ['client', 'delete', marker],
    ['resource', 'delete', 'https://cli.example'],
    ['upstream', 'delete', 'cli'],
    ['account', 'delete', `${marker}@example.com`],
    ['account', 'erase', idIn('account create')],
  ]
}

/** Lists commands about a client or a mail that does not exist. The answer repeats its ID, which is not a secret. */
export function aboutNobody(id: string): string[][] {
  return [
    ...['show', 'revoke-registration-token'].map((verb) => ['client', verb, id]),
    ...['show', 'retry'].map((verb) => ['mail', verb, id]),
  ]
}

/** The commands that run without arguments, and may fail: `secrets rotate` reports what was damaged. */
export const bare = ['ldap try', 'explain', 'request explain', 'secrets rotate', 'secrets list', 'mail test']

/** Returns the commands that none of these command lines runs. Each needs one in this file. */
export function missing(names: readonly string[], lines: readonly (readonly string[])[]): string[] {
  const isRun = (name: string) => lines.some((args) => args.join(' ').startsWith(name))
  return names.filter((name) => !isRun(name) && !bare.includes(name))
}

/** Lists command lines with a secret in a wrong place, or with an invalid one. */
export async function unfit(canaries: Canaries, folder: string): Promise<string[][]> {
  const secret = () => canaries.plant('secret that is out of place')
  const declared = async (value: string) => {
    const path = join(folder, `${randomBytes(6).toString('hex')}.yaml`)
    await writeFile(path, `version: 1\nclients:\n  web:\n    policy: administrator\n    client_secret: ${value}\n`)
    return ['apply', '-f', path]
  }
  const imported = async (line: string) => {
    const path = join(folder, `${randomBytes(6).toString('hex')}.ndjson`)
    await writeFile(path, line)
    return path
  }
  // These are typed by someone who does not know that YAML gives them a meaning.
  const unquoted = ['', '*', '!', '|', '@', '"', '{ ', '"x" ', '&a *', '%', '- '].map(
    (prefix) => `${prefix}${secret()}`,
  )
  return [
    ...operations().flatMap(({ noun, verb }) => [
      [noun, verb, 'x', secret()],
      [noun, verb, `--unknown=${secret()}`],
    ]),
    [secret()],
    ['account', secret()],
    ['account', 'show', '--unknown', secret()],
    ['account', 'show', `-${secret()}`],
    ['account', 'create', '--email', secret(), '--password', secret()],
    ['account', 'create', '--email', 'a@example.com', '--password', secret(), '--password', secret()],
    ['account', 'create', '--email', 'a@example.com', '--password', secret().slice(0, 7)],
    ['account', 'create', '--email', 'a@example.com', '--password', secret(), '--claims', `{"a": ${secret()}}`],
    ['account', 'import', await imported(`{"email": "${secret()}`)],
    ['account', 'import', await imported(`{"email": "a@example.com", "password_hash": "${secret()}"}`)],
    ['account', 'import', await imported(`{"email": "${secret()}", "password": "${secret()}"}`)],
    ['account', 'set-password', 'ada@example.com', '--password'],
    ['account', 'set-password', 'ada@example.com', '--password', `-${secret()}`],
    ['client', 'set-secret', 'nobody', '--client-secret', secret()],
    ['client', 'set-secret', 'nobody', '--client-secret', `${secret()}\u00e9`],
    ['client', 'set-secret', 'nobody', '--client-secret', secret(), '--overlap-seconds', secret()],
    ['client', 'create', ...redirect, '--jwks', `{"keys": [{"kty": "oct", "k": "${secret()}"}]}`],
    ['client', 'create', ...redirect, '--jwks', `{"keys": [{"kty": "EC", "d": "${secret()}"}]}`],
    ['client', 'create', ...redirect, '--application-type', secret()],
    ['registration-token', 'create', '--expires', secret()],
    ['registration-token', 'revoke', secret()],
    ['client', 'list', '--cursor', secret()],
    ['apply', secret()],
    ['export', secret()],
    ...(await Promise.all([...unquoted, `{ value: ${secret()} }`, `${secret()}: x: y`].map(declared))),
  ]
}
