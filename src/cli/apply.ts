import { isDeepStrictEqual, parseArgs } from 'node:util'
import { type Applied, apply } from '../admin/declaration/apply.ts'
import type { Plan } from '../admin/declaration/plan.ts'
import { read } from '../admin/declaration/reading.ts'
import { Refusal } from '../admin/operation.ts'
import { appliedText, planText } from './plan-text.ts'
import type { Session } from './session.ts'
import { findSecretIn, readSources } from './sources.ts'
import { confirm } from './terminal.ts'
import { misuse, Usage } from './usage.ts'

const changesPending = 3 // an exit status that no error has

const options = {
  file: { type: 'string', short: 'f', multiple: true },
  prune: { type: 'boolean', default: false },
  'dry-run': { type: 'boolean', default: false },
  'exit-code': { type: 'boolean', default: false },
  yes: { type: 'boolean', short: 'y', default: false },
  output: { type: 'string', default: 'text' },
  help: { type: 'boolean', short: 'h', default: false },
} as const

const help = `postern apply: Bring policies, resources and clients to the state of a file.

  -f, --file FILE   The file; - is standard input. Give it several times for several files.
  --prune           Delete what is not in the file, in those sections that the file has.
  --dry-run         Show what would be done, and do nothing.
  --exit-code       With --dry-run, end with status ${changesPending} if there is something to do.
  -y, --yes         Do not ask first. Where there is no terminal to ask at, it is done without asking.
  --output FORMAT   text or json. With json nobody is asked. Default: text.`

/** `postern apply`: shows the plan, asks at a terminal, and carries it out. */
export async function run(args: string[], { env, by, withPostern }: Session): Promise<void> {
  const given = readOptions(args)
  if (given.help) return print(`${help}\n`)
  const reading = await read(await readSources(given.file), findSecretIn(env))
  await withPostern(async (postern) => {
    const attempt: Attempt = (accept) => apply(postern, reading, { prune: given.prune, by, accept })
    if (given.isRehearsal) {
      const rehearsed = await attempt(() => false)
      print(given.isText ? planText(rehearsed.plan) : asJson(rehearsed))
      if (given.hasExitCode && rehearsed.plan.changes.length > 0) process.exitCode = changesPending
      return
    }
    const isAsked = given.isText && !given.yes && process.stdin.isTTY && process.stdout.isTTY
    const applied = isAsked
      ? await askFirst(attempt)
      : await attempt((plan) => {
          if (given.isText) print(planText(plan))
          return true
        })
    if (applied) print(given.isText ? appliedText(applied) : asJson(applied))
  })
}

type Attempt = (accept: (plan: Plan) => boolean) => Promise<Applied>

/** Applies what was looked at and agreed to, and nothing else. No transaction waits for the answer. */
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
    throw new Refusal('conflict', 'What there is changed while you were looking. Nothing was applied; run it again.')
  })
}

function readOptions(args: string[]) {
  try {
    const { values } = parseArgs({ args, options, strict: true })
    if (!values.help && !values.file) throw new Error('Say which file with -f, or -f - for standard input.')
    if (!['text', 'json'].includes(values.output)) throw new Error('--output must be text or json.')
    if (values['exit-code'] && !values['dry-run']) throw new Error('--exit-code goes with --dry-run.')
    return {
      file: values.file ?? [],
      prune: values.prune,
      isRehearsal: values['dry-run'],
      hasExitCode: values['exit-code'],
      yes: values.yes,
      isText: values.output === 'text',
      help: values.help,
    }
  } catch (error) {
    throw new Usage(`${misuse(error, options)}\n\n${help}`)
  }
}

function asJson({ plan: { changes, unchanged }, isApplied, secrets: made }: Applied): string {
  const secrets = made.map(({ client_secret, ...of }) => ({ ...of, client_secret: client_secret.reveal() }))
  return `${JSON.stringify({ applied: isApplied, changes, unchanged, secrets }, null, 2)}\n`
}

const print = (text: string) => void process.stdout.write(text)
