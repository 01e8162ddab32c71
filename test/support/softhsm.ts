import { execFile } from 'node:child_process'
import { existsSync, rmSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { type Config, parse } from '../../src/config/index.ts'

export const softhsm = '/usr/lib/softhsm/libsofthsm2.so'
export const pin = '493817'

const run = promisify(execFile)

const missing = [
  !existsSync(softhsm) && softhsm,
  !existsSync('/usr/bin/pkcs11-tool') && 'pkcs11-tool',
  !(await import('pkcs11js' as string).catch(() => undefined)) && 'pkcs11js',
].filter(Boolean)

/** Whether the programs for tests of tokens exist. In CI the tests fail without them. */
export const hasSoftHsm = process.env['CI'] !== undefined || missing.length === 0
if (!hasSoftHsm) process.stderr.write(`There is no ${missing.join(', no ')}: the tests of PKCS #11 are skipped.\n`)

/** A token of SoftHSM in a folder of its own, which this process and its children see. */
export type SoftToken = {
  config: Config
  /** Returns the settings with some replaced. */
  with(settings: Record<string, string>): Config
  settings: Record<string, string>
  env: Record<string, string>
  /** Returns what `pkcs11-tool` shows an operator about the token, logged in. */
  tool(...args: string[]): Promise<string>
  /** Returns how often this process has logged in through the module `spy` so far. */
  logins(): Promise<number>
  /** The module that passes every call on to SoftHSM and records it. */
  spy: string
  takeAway(): Promise<void>
  bringBack(): Promise<void>
  remove(): Promise<void>
}

// One for all tokens of this process: the spy opens it whenever it is loaded.
const calls = join(tmpdir(), `postern-pkcs11-calls-${process.pid}.log`)
process.once('exit', () => rmSync(calls, { force: true }))

const spies = ['x86_64', 'aarch64'].map((machine) => `/usr/lib/${machine}-linux-gnu/pkcs11-spy.so`)

export async function createToken(label = 'postern'): Promise<SoftToken> {
  const folder = await mkdtemp(join(tmpdir(), 'postern-softhsm-'))
  const tokens = join(folder, 'tokens')
  const away = join(folder, 'away')
  await mkdir(tokens)
  await writeFile(join(folder, 'softhsm2.conf'), `directories.tokendir = ${tokens}\nlog.level = ERROR\n`)
  const env = { SOFTHSM2_CONF: join(folder, 'softhsm2.conf'), PKCS11SPY: softhsm, PKCS11SPY_OUTPUT: calls }
  Object.assign(process.env, env)
  await initializeToken(label)
  const settings = { PKCS11_MODULE: softhsm, PKCS11_TOKEN: label, PKCS11_PIN: pin }
  const withSettings = (others: Record<string, string>) => parse({ ...settings, ...others })

  return {
    config: withSettings({}),
    with: withSettings,
    settings,
    env: { ...settings, ...env },
    async tool(...args) {
      const { stdout, stderr } = await run('pkcs11-tool', ['--module', softhsm, '--login', '--pin', pin, ...args])
      return stdout + stderr
    },
    async logins() {
      return (await readFile(calls, 'utf8').catch(() => '')).match(/\bC_Login$/gm)?.length ?? 0
    },
    spy: spies.find((path) => existsSync(path)) ?? String(spies[0]),
    takeAway: () => rename(tokens, away),
    bringBack: () => rename(away, tokens),
    remove: () => rm(folder, { recursive: true, force: true }),
  }
}

/** Adds a token to those that this process sees. */
export async function initializeToken(label: string): Promise<void> {
  await run('softhsm2-util', ['--init-token', '--free', '--label', label, '--so-pin', '12345678', '--pin', pin])
}
