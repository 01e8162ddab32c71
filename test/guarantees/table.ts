import { appendFileSync } from 'node:fs'
import type { Place } from './places.ts'
import type { Row } from './play.ts'

type Played = { row: Row; place: Place; remains: string[] | Error }

/** Collects the results of cells and writes them as a matrix: operations down, places across. */
export function createTable(places: Place[]) {
  const played: Played[] = []

  function line(processes: number, of: Row['operation']): string {
    const cells = places.map((place) => {
      if (of.sparing(place)) return '–'
      const rounds = played.filter(
        (cell) => cell.row.operation === of && cell.row.processes === processes && cell.place === place,
      )
      const survivors = rounds.filter(({ remains }) => !Array.isArray(remains) || remains.length > 0)
      return rounds.length === 0 ? '' : `${survivors.length}/${rounds.length}`
    })
    return `| ${[of.verdict, ...cells].join(' | ')} |`
  }

  return {
    add: (cell: Played): void => void played.push(cell),
    /** Appends the tables to a file, one for each number of processes. */
    write(path: string): void {
      for (const processes of [1, 2]) {
        const operations = new Set(played.map(({ row }) => row.operation))
        const head = ['', ...places.map((_, index) => String(index + 1))]
        const lines = [
          `### ${processes} process${processes === 1 ? '' : 'es'}: survivors / rounds`,
          '',
          `| ${head.join(' | ')} |`,
          `|${head.map(() => '---|').join('')}`,
          ...[...operations].map((operation) => line(processes, operation)),
          '',
        ]
        appendFileSync(path, `${lines.join('\n')}\n`)
      }
      const legend = places.map(({ name }, index) => `${index + 1}. ${name}`)
      const found = played.flatMap(({ row, place, remains }) =>
        Array.isArray(remains) && remains.length === 0
          ? []
          : [`- (${row.processes}) ${place.name} ${row.operation.verdict}: ${[remains].flat().join('; ')}`],
      )
      appendFileSync(path, `${[...legend, '', ...found].join('\n')}\n`)
    },
  }
}
