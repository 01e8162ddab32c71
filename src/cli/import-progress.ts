/** The numbers of lines, by what became of them. */
export type Counts = { lines: number; created: number; existing: number; rejected: number }

export type Progress = {
  /** Shows how far the import is: only on a terminal, in one line. */
  show(counts: Counts, share: number | undefined): void
  /** Writes a line that stays. */
  note(text: string): void
  end(): void
  summary(counts: Counts): string
}

const number = new Intl.NumberFormat('en')
const clear = '\r\u001b[K'

/** Creates the progress of an import. */
export function createProgress(terminal: { isTTY?: boolean; write(text: string): unknown }): Progress {
  let shown = ''
  const write = (text: string) => terminal.isTTY && terminal.write(text)
  return {
    show(counts, share) {
      const percent = share === undefined ? '' : `${Math.floor(share * 100)} %  `
      shown = `${percent}${listed(counts)}`
      write(`${clear}${shown}`)
    },
    note(text) {
      write(clear)
      terminal.write(`${text}\n`)
      write(shown)
    },
    end() {
      write(clear)
      shown = ''
    },
    summary: (counts) => `${listed(counts)}\n`,
  }
}

function listed({ lines, created, existing, rejected }: Counts): string {
  const counts = { lines, created, 'there already': existing, rejected }
  return Object.entries(counts)
    .map(([name, count]) => `${number.format(count)} ${name}`)
    .join(', ')
}
