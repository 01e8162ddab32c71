import { spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import type { Scene } from '../../support/circulation.ts'
import { postern as runPostern } from '../../support/command-line.ts'
import { inherited } from '../../support/inherited.ts'
import { signingKid } from '../../support/keys.ts'
import type { Channels } from './channels.ts'
import { aboutNobody, bare, everything, missing, theRest, unfit } from './commands.ts'
import { tokenOf } from './settings.ts'

export const output = 'command line: requested output'
export const mistakes = 'command line: mistakes'
export const settings = 'postern config'

type Env = Record<string, string>
export type Command = string[] | { args: string[]; env?: Env; input?: string }
type Outcome = { args: string[]; code: number; stdout: string; stderr: string }

/** Runs shell commands one after the other in this environment, which a command may extend for all that follow. */
export async function runAll(env: Env, commands: Command[]): Promise<{ logged: string; outcomes: Outcome[] }> {
  const path = join(import.meta.dirname, 'many-commands.ts')
  const child = spawn(process.execPath, [path], {
    env: { ...inherited, ...env },
    stdio: ['pipe', 'pipe', 'inherit', 'pipe'],
  })
  child.stdin?.end(JSON.stringify(commands.map((one) => (Array.isArray(one) ? { args: one } : one))))
  const [logged, written] = await Promise.all([text(child.stdout as Readable), text(child.stdio[3] as Readable)])
  return { logged, outcomes: JSON.parse(written) as Outcome[] }
}

const spoken = ({ code, stdout, stderr }: Omit<Outcome, 'args'>) => `(${code})\n${stdout}\n${stderr}`

/** Runs everything that the command line can do, correctly and incorrectly. */
export async function runCommands(scene: Scene, channels: Channels): Promise<void> {
  const { canaries, postern } = scene
  const env = { ...postern.env, CHOSEN_SECRET: canaries.plant('client_secret of a declaration') }
  const folder = await mkdtemp(join(tmpdir(), 'postern-canaries-'))
  try {
    const marker = channels.marker(output)
    const [overview, ...made] = (await runAll(env, [[], ...(await everything(canaries, folder, marker))])).outcomes
    for (const outcome of made) say(scene, channels, outcome)
    const idIn = (command: string) =>
      made.find(({ args }) => args.join(' ').startsWith(command))?.stdout.match(/"id": "([^"]+)"/)?.[1] ?? ''
    const rest = theRest(marker, signingKid(postern, 'ES256'), idIn)
    const names = commandsIn(overview?.stdout ?? '')
    const forgotten = missing(names, [...made.map(({ args }) => args), ...rest, ...aboutNobody('')])
    if (forgotten.length > 0) throw new Error(`commands.ts has no command line of: ${forgotten.join(', ')}`)
    await runOthers({ scene, channels, env, folder }, { rest, names })
    const password = canaries.plant('password from standard input')
    const piped = ['account', 'create', '--email', 'piped@example.com']
    say(scene, channels, { args: piped, ...(await runPostern(piped, { env, input: `${password}\n` })) } as Outcome)
  } finally {
    await rm(folder, { recursive: true })
  }
}

/** Lists the names of all commands except the one that starts a server. */
function commandsIn(overview: string): string[] {
  const names = [...overview.matchAll(/^ {2}postern (\S+(?: \S+)?) {2}/gm)].map(([, name = '']) => name)
  return names.filter((name) => name !== 'start')
}

type Surroundings = { scene: Scene; channels: Channels; env: Env; folder: string }

/** Runs the remaining commands, invalid ones, help, and settings. */
async function runOthers(
  { scene, channels, env, folder }: Surroundings,
  { rest, names }: { rest: string[][]; names: string[] },
): Promise<void> {
  const { canaries } = scene
  const secret = canaries.plant('secret that is out of place')
  const unjudged = bare.map((name) => name.split(' '))
  const refused = [...(await unfit(canaries, folder)), ...aboutNobody(channels.marker(mistakes))]
  const ignored = unjudged.map((words) => [...words, secret])
  const helpful = names.filter((name) => !['config', 'migrate'].includes(name))
  const asked = [[], ['--version'], ...helpful.map((name) => [...name.split(' '), '--help'])]
  const all = [...unjudged, ...rest, ...refused, ...ignored, ...asked, ...showings(scene, channels)]
  const outcomes = (await runAll(env, all)).outcomes.values()

  for (const outcome of outcomes.take(unjudged.length)) channels.write(output, spoken(outcome))
  for (const outcome of outcomes.take(rest.length)) say(scene, channels, outcome)
  for (const outcome of outcomes.take(refused.length)) {
    if (outcome.code === 0) throw new Error(`this was to be refused: ${outcome.args.join(' ')}`)
    channels.write(mistakes, spoken(outcome))
  }
  for (const outcome of outcomes.take(ignored.length)) channels.write(mistakes, spoken(outcome))
  for (const outcome of outcomes.take(asked.length)) channels.write(output, spoken(outcome))
  for (const outcome of outcomes) channels.write(settings, spoken(outcome))
}

/** Records the output of a command that must succeed. It has to show the secrets that it generated. */
function say({ canaries }: Scene, channels: Channels, outcome: Outcome): void {
  if (outcome.code !== 0) throw new Error(`${outcome.args.join(' ')}: ${outcome.stderr}`)
  const made = [...outcome.stdout.matchAll(/"?(client_secret|initial_access_token)"?:?\s+"?([\w-]{20,})/g)]
  for (const [, kind = '', value] of made) canaries.collect(`${kind} made at the command line`, value)
  channels.write(
    output,
    spoken(outcome),
    made.map(([, , value]) => String(value)),
  )
}

/** Shows the settings, with the password of the database in every place where it can be written. */
function showings({ canaries, postern: { env } }: Scene, channels: Channels): { args: string[]; env: Env }[] {
  const password = canaries.plant('setting: DATABASE_URL')
  const addresses = [
    `${env['DATABASE_URL']}`,
    `${env['DATABASE_URL']}?password=${password}`,
    ...['/', '?', '#', '@', ':', '%'].map((letter) => `postgres://postern:1${letter}${password}@localhost/postern`),
  ]
  const more = { ...tokenOf(canaries), HOST: channels.marker(settings) }
  return addresses.map((DATABASE_URL) => ({ args: ['config'], env: { DATABASE_URL, ...more } }))
}
