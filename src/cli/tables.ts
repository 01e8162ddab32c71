import { printable, type Style } from '../log/style.ts'

type Row = Readonly<Record<string, unknown>>

/** The width and the style of the output, and the columns of a list. Without columns, it shows all that fit. */
export type Presentation = { width: number; style: Style; columns?: readonly string[] | undefined }

/** Formats the output of an operation for a person: a list as a table, anything else as names with values. */
export function asText(output: unknown, presentation: Presentation): string {
  const list = listIn(output)
  if (!list) return isRow(output) ? valuesText(output, presentation.style) : `${cell(output)}\n`
  if (list.rows.length === 0) return 'There are none.\n'
  return (
    tableText(list.rows, presentation) +
    (list.cursor === undefined ? '' : `\nThe list continues with: --cursor ${list.cursor}\n`)
  )
}

/** Formats rows as a table, without empty columns. */
export function tableText(rows: readonly Row[], { width, style, columns }: Presentation): string {
  const names = [...new Set(rows.flatMap((row) => Object.keys(row)))]
  const filled = (columns ?? names).filter((name) => rows.some((row) => cell(row[name]) !== ''))
  const widths = new Map(
    filled.map((name) => [name, Math.max(...[name, ...rows.map((row) => cell(row[name]))].map(widthOf))]),
  )
  const shown = filled.filter((_, index) => index < 2 || totalOf(filled.slice(0, index + 1), widths) <= width)
  const line = (cells: readonly string[]) =>
    cells
      .map((text, index) => text + ' '.repeat((widths.get(shown[index] ?? '') ?? 0) - widthOf(text)))
      .join('  ')
      .trimEnd()
  const lines = [style.bold(line(shown)), ...rows.map((row) => line(shown.map((name) => cell(row[name]))))]
  const left = names.filter((name) => !shown.includes(name) && rows.some((row) => cell(row[name]) !== ''))
  if (left.length > 0) lines.push('', style.dim(`Not shown: ${some(left)}. Use --json to see everything.`))
  return `${lines.join('\n')}\n`
}

function valuesText(row: Row, style: Style): string {
  const entries = Object.entries(row).filter(([, value]) => value !== undefined && cell(value) !== '')
  const width = Math.max(0, ...entries.map(([name]) => name.length))
  return entries
    .map(([name, value]) => {
      const lines = linesOf(value)
      const [first = '', ...more] = lines
      return [`${style.bold(name.padEnd(width))}  ${first}`, ...more.map((text) => ' '.repeat(width + 2) + text)].join(
        '\n',
      )
    })
    .join('\n')
    .concat('\n')
}

/** Returns the rows of an output that is a list, and the cursor of the next page. */
function listIn(output: unknown): { rows: Row[]; cursor?: string } | undefined {
  if (!isRow(output)) return undefined
  const { items, next_cursor: cursor } = output
  if (!Array.isArray(items) || !items.every(isRow)) return undefined
  return { rows: items, ...(typeof cursor === 'string' && { cursor }) }
}

function linesOf(value: unknown): string[] {
  if (Array.isArray(value)) return value.map((item) => cell(item))
  if (isRow(value)) return Object.entries(value).map(([name, item]) => `${printable(name)}: ${cell(item)}`.trimEnd())
  return [cell(value)]
}

function cell(value: unknown): string {
  if (value === undefined || value === null) return ''
  if (typeof value === 'boolean') return value ? 'yes' : 'no'
  if (typeof value === 'string')
    return printable(value.replace(/^(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)\.\d{3}Z$/, '$1 $2Z'))
  if (typeof value !== 'object') return String(value)
  if (Array.isArray(value) && value.every((item) => typeof item !== 'object')) return value.map(cell).join(', ')
  if (isRow(value) && Object.values(value).every((item) => typeof item !== 'object')) {
    return Object.entries(value)
      .map(([name, item]) => (item === '' ? printable(name) : `${printable(name)}: ${cell(item)}`))
      .join(', ')
  }
  const text = JSON.stringify(value)
  return text === '{}' || text === '[]' ? '' : printable(text)
}

const fewNames = 6

function some(names: readonly string[]): string {
  if (names.length <= fewNames) return names.join(', ')
  return `${names.slice(0, fewNames).join(', ')} and ${names.length - fewNames} more`
}

const isRow = (value: unknown): value is Row => typeof value === 'object' && value !== null && !Array.isArray(value)
const widthOf = (text: string) => [...text].length
const totalOf = (names: readonly string[], widths: ReadonlyMap<string, number>) =>
  names.reduce((sum, name) => sum + (widths.get(name) ?? 0) + 2, -2)
