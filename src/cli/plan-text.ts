import { styleText } from 'node:util'
import type { Applied } from '../admin/declaration/apply.ts'
import type { Difference } from '../admin/declaration/differences.ts'
import type { Change, Plan } from '../admin/declaration/plan.ts'

type Color = 'green' | 'yellow' | 'red' | 'dim' | 'bold'

// Node.js omits colours if standard output is not a terminal, and if NO_COLOR or a similar variable requests it.
const paint = (color: Color, text: string) => styleText(color, text, { stream: process.stdout })

const actions = {
  create: { sign: '+', color: 'green' },
  update: { sign: '~', color: 'yellow' },
  delete: { sign: '-', color: 'red' },
} as const

/** The things that are deleted together with a client or a resource server. */
const dependents = {
  client: 'everything issued to it',
  resource: 'the credentials that were created with it',
  'upstream provider': 'the links of accounts to it',
} as const

const widestList = 80 // characters; in a longer list, each item has a line of its own
const longestValue = 120

/** Describes a plan for people. */
export function planText({ changes, unchanged }: Plan): string {
  if (changes.length === 0) return `Nothing to change: ${unchanged} already as declared.\n`
  const count = (action: Change['action']) => changes.filter((change) => change.action === action).length
  const counts = [
    [count('create'), 'to create'],
    [count('update'), 'to change'],
    [count('delete'), 'to delete'],
    [unchanged, 'already as declared'],
  ] as const
  const summary = counts.filter(([number]) => number > 0).map(([number, what]) => `${number} ${what}`)
  return `${changes.map(changeText).join('\n')}\n${summary.join(', ')}.\n`
}

/** Describes the result for people. It ends with the generated secrets. */
export function appliedText({ plan, secrets }: Applied): string {
  const done = plan.changes.length > 0 ? 'Applied.\n' : ''
  if (secrets.length === 0) return done
  const blocks = secrets.map(
    ({ kind, name, client_id, client_secret }) =>
      `  ${kind} ${paint('bold', clean(name))}\n    client_id      ${clean(client_id)}\n    client_secret  ${client_secret.reveal()}\n`,
  )
  const title = paint('bold', 'Secrets, which are shown only once:')
  return `${done}\n${title}\n\n${blocks.join('\n')}`
}

function changeText({ action, kind, name, differences }: Change): string {
  const { sign, color } = actions[action]
  const width = Math.max(0, ...differences.map(({ member }) => member.length))
  const lines = differences.flatMap((difference) => {
    const values = action === 'create' ? createdLines(difference) : changedLines(difference)
    return values.map((value, index) => `      ${(index === 0 ? difference.member : '').padEnd(width)}  ${value}\n`)
  })
  const losses = action === 'delete' && kind !== 'policy' ? paint('dim', `, with ${dependents[kind]}`) : ''
  return `  ${paint(color, `${sign} ${kind}`)} ${paint('bold', clean(name))}${losses}\n${lines.join('')}`
}

function createdLines({ after }: Difference): string[] {
  const text = valueText(after)
  return isList(after) && text.length > widestList ? after.map(valueText) : [text]
}

function changedLines({ member, before, after }: Difference): string[] {
  const [had, has] = [itemsOf(member, before), itemsOf(member, after)]
  const added = has?.filter((item) => !had?.includes(item)) ?? []
  const removed = had?.filter((item) => !has?.includes(item)) ?? []
  if (had && has && added.length + removed.length > 0) {
    return [
      ...removed.map((item) => paint('red', `- ${valueText(item)}`)),
      ...added.map((item) => paint('green', `+ ${valueText(item)}`)),
    ]
  }
  return [`${valueText(before)} ${paint('dim', '→')} ${valueText(after)}`]
}

/** Returns the items of a set, which is written as a list or as a string of words. */
function itemsOf(member: string, value: unknown): string[] | undefined {
  if (isList(value)) return value
  return /^(required_)?scopes?$/.test(member) && typeof value === 'string' ? value.split(' ') : undefined
}

function valueText(value: unknown): string {
  if (value === undefined) return paint('dim', '(not set)')
  if (isList(value)) return value.length === 0 ? '(none)' : value.map(clean).join(', ')
  const text = typeof value === 'string' ? clean(value) : JSON.stringify(value)
  return text.length > longestValue ? `${text.slice(0, longestValue)}…` : text
}

const isList = (value: unknown): value is string[] =>
  Array.isArray(value) && value.every((item) => typeof item === 'string')

/** Escapes control characters, so that a terminal shows the text and does not obey it. */
const clean = (text: string) =>
  text.replace(/\p{Cc}/gu, (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}`)
