import type { Command, Option } from './command.ts'

const narrowest = 30 // columns of a description; in less room, the terminal wraps its lines

/** Returns the help of a command for a terminal of this width: its purpose, its usage, and its options. */
export function helpOf(command: Command, columns: number | undefined): string {
  const { name, summary, notes, options } = command
  const blocks = [`postern ${name}: ${summary}.`, `Usage: ${usageOf(command)}`]
  if (notes) blocks.push(notes)
  const all = Object.entries(options)
  const width = Math.max(0, ...all.map((option) => spelling(option).length))
  const grouped = Map.groupBy(all, ([, { isRequired, group }]) => (isRequired ? 'Required' : (group ?? 'Options')))
  const titles = [...grouped.keys()].sort((a, b) => Number(b === 'Required') - Number(a === 'Required'))
  for (const title of titles) {
    const lines = (grouped.get(title) ?? []).map((option) =>
      row(spelling(option), option[1].description, width, columns),
    )
    blocks.push([`${title}:`, ...lines].join('\n'))
  }
  return blocks.join('\n\n')
}

/** Returns the usage of a command. Everything outside the brackets is required. */
export function usageOf({ name, options, operand }: Command): string {
  const all = Object.entries(options)
  const isOperand = ([option]: [string, Option]) => option === operand
  const required = all.filter(([, { isRequired }]) => isRequired)
  const words = [
    ...required.filter(isOperand).map(([option]) => wordFor(option)),
    ...required.filter((option) => !isOperand(option)).map(([option, { value }]) => `--${option} ${value}`),
  ]
  return ['postern', name, ...words, ...(all.length > required.length ? ['[options]'] : [])].join(' ')
}

/** Describes a mistake in a call together with the usage. The whole help would push the mistake off the screen. */
export function misuseOf(command: Command, problem: string): string {
  const { name, options } = command
  const more = Object.keys(options).length > 0 ? `\nThis lists its options: postern ${name} --help` : ''
  return `${problem}\n\nUsage: ${usageOf(command)}${more}`
}

/** Formats names and descriptions in two columns. */
export function listOf(entries: readonly (readonly [string, string])[], columns: number | undefined): string {
  const width = Math.max(0, ...entries.map(([name]) => name.length))
  return entries.map(([name, description]) => row(name, description, width, columns)).join('\n')
}

const wordFor = (option: string) => option.toUpperCase().replaceAll('-', '_')

function spelling([name, { short, value }]: [string, Option]): string {
  return `${short ? `-${short}, ` : ''}--${name}${value === undefined ? '' : ` ${value}`}`
}

function row(name: string, description: string, width: number, columns = Number.POSITIVE_INFINITY): string {
  const room = columns - width - 5
  const [first = '', ...more] = room < narrowest ? [description] : wrapped(description, room)
  return [`  ${name.padEnd(width)}  ${first}`.trimEnd(), ...more.map((line) => ' '.repeat(width + 4) + line)].join('\n')
}

function wrapped(text: string, room: number): string[] {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + word.length >= room) {
      lines.push(line)
      line = word
    } else line = line === '' ? word : `${line} ${word}`
  }
  return [...lines, line]
}
