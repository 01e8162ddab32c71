import { isDeepStrictEqual } from 'node:util'
import { type Applied, apply } from '../admin/declaration/apply.ts'
import type { Plan } from '../admin/declaration/plan.ts'
import { read } from '../admin/declaration/reading.ts'
import { OperationError } from '../admin/operation.ts'
import type { Command, Given } from './command.ts'
import { misuseOf } from './help.ts'
import { appliedText, planText } from './plan-text.ts'
import type { Session } from './session.ts'
import { findSecretIn, readSources } from './sources.ts'
import { confirm } from './terminal.ts'
import { Usage } from './usage.ts'

const changesPending = 3 // no error has this exit status

/** `postern apply`, which shows the plan, asks for confirmation on a terminal, and carries the plan out. */
export const applyCommand: Command = {
  name: 'apply',
  summary: 'Bring policies, resources and clients to the state that a file describes',
  options: {
    file: {
      short: 'f',
      value: 'FILE',
      isRepeatable: true,
      isRequired: true,
      description: 'The file; - means standard input. Repeat the option for several files.',
    },
    prune: { description: 'Delete everything that the file does not declare, in the sections that the file has.' },
    'dry-run': { description: 'Show the changes without making them.' },
    'exit-code': { description: `With --dry-run, exit with status ${changesPending} if there are changes to make.` },
    yes: {
      short: 'y',
      description: 'Do not ask for confirmation. Without a terminal, the command never asks.',
    },
    output: { value: 'FORMAT', description: 'text or json. With json, the command never asks. Default: text.' },
  },
  run,
}

async function run(given: Given, { env, by, withPostern }: Session): Promise<void> {
  const { prune, isRehearsal, isText, ...options } = readOptions(given)
  const reading = await read(await readSources(options.file), findSecretIn(env))
  await withPostern(async (postern) => {
    const attempt: Attempt = (accept) => apply(postern, reading, { prune, by, accept })
    if (isRehearsal) {
      const rehearsed = await attempt(() => false)
      print(isText ? planText(rehearsed.plan) : asJson(rehearsed))
      if (options.hasExitCode && rehearsed.plan.changes.length > 0) process.exitCode = changesPending
      return
    }
    const isAsked = isText && !options.isAgreed && process.stdin.isTTY && process.stdout.isTTY
    const applied = isAsked
      ? await askFirst(attempt)
      : await attempt((plan) => {
          if (isText) print(planText(plan))
          return true
        })
    if (applied) print(isText ? appliedText(applied) : asJson(applied))
  })
}

type Attempt = (accept: (plan: Plan) => boolean) => Promise<Applied>

/** Shows the plan, asks, and then applies exactly that plan. No transaction waits for the answer. */
async function askFirst(attempt: Attempt): Promise<Applied | undefined> {
  const { plan: shown } = await attempt(() => false)
  print(planText(shown))
  if (shown.changes.length === 0) return undefined
  if (!(await confirm('\nApply this?'))) {
    print('Nothing was changed.\n')
    process.exitCode = 1
    return undefined
  }
  return attempt((plan) => {
    if (isDeepStrictEqual(plan, shown)) return true
    throw new OperationError(
      'conflict',
      'Something changed while you were reading the plan. Nothing was applied. Run the command again.',
    )
  })
}

function readOptions(given: Given) {
  const output = given['output'] ?? 'text'
  const misused = (problem: string) => new Usage(misuseOf(applyCommand, problem))
  if (!given['file']) throw misused('Name the file with -f FILE, or use -f - for standard input.')
  if (output !== 'text' && output !== 'json') throw misused('--output must be text or json.')
  if (given['exit-code'] && !given['dry-run']) throw misused('--exit-code needs --dry-run.')
  return {
    file: [given['file']].flat().map(String),
    prune: given['prune'] === true,
    isRehearsal: given['dry-run'] === true,
    hasExitCode: given['exit-code'] === true,
    isAgreed: given['yes'] === true,
    isText: output === 'text',
  }
}

function asJson({ plan: { changes, unchanged }, isApplied, secrets: made }: Applied): string {
  const secrets = made.map(({ client_secret, ...of }) => ({ ...of, client_secret: client_secret.reveal() }))
  return `${JSON.stringify({ applied: isApplied, changes, unchanged, secrets }, null, 2)}\n`
}

const print = (text: string) => void process.stdout.write(text)
