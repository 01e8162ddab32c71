import type { Fleet, ServerProcess } from '../support/processes.ts'
import type { Answer } from './journey.ts'

export const attemptsEach = 50

/** How often each race is run: enough to catch a mistake on every run of the tests, or as many as RACE_ROUNDS says. */
export const rounds = Number(process.env['RACE_ROUNDS'] ?? 10)

/** Time for that many rounds of work that takes less than two seconds on a slow machine. */
export const patienceMs = 60_000 + rounds * 4_000

/** Makes the same attempt many times at once, spread over all processes. */
export function race(fleet: Fleet, attempt: (server: ServerProcess) => Promise<Answer>): Promise<Answer[]> {
  const { processes } = fleet
  const begun = Array.from({ length: attemptsEach }, (_, index) => processes[index % processes.length])
  return Promise.all(begun.map((server) => attempt(server ?? processes[0])))
}

/** Runs two things at once, one slightly after the other by an amount that differs from round to round. */
export async function overlap<A, B>(round: number, one: () => Promise<A>, other: () => Promise<B>): Promise<[A, B]> {
  const stepMs = 0.7
  const headStart = ((round * 5) % 17) - 8 // from -8 to 8 steps, another in every round
  const after = <T>(steps: number, work: () => Promise<T>) => (steps > 0 ? pause(steps * stepMs).then(work) : work())
  return Promise.all([after(headStart, one), after(-headStart, other)])
}

async function pause(ms: number): Promise<void> {
  const until = performance.now() + ms
  while (performance.now() < until) await new Promise(setImmediate) // finer than a timer
}

/** The result of many rounds of one race, as a line of the table. */
export type Tally = {
  artifact: string
  rounds: number
  attempts: number
  winners: Record<string, number>
  losers: Record<string, number>
  serverErrors: number
  afterwards: Record<string, number>
}

const tallies: Tally[] = []

export function createTally(artifact: string): Tally {
  const tally = { artifact, rounds: 0, attempts: 0, winners: {}, losers: {}, serverErrors: 0, afterwards: {} }
  tallies.push(tally)
  return tally
}

export function count(into: Record<string, number>, what: string): void {
  into[what] = (into[what] ?? 0) + 1
}

/** Adds a round to a tally, and splits its answers into those that succeeded and those that were rejected. */
export function settle(
  tally: Tally,
  answers: Answer[],
  isSuccess: (answer: Answer) => boolean = ({ status }) => status === 200,
): { winners: Answer[]; losers: string[] } {
  const winners = answers.filter(isSuccess)
  const losers = answers
    .filter((answer) => !isSuccess(answer))
    .map(({ status, error = 'a page' }) => `${status} ${error}`)
  tally.rounds += 1
  tally.attempts += answers.length
  count(tally.winners, String(winners.length))
  for (const loser of losers) count(tally.losers, loser)
  tally.serverErrors += answers.filter(({ status }) => status >= 500).length
  return { winners, losers }
}

/** Prints the races of this file and their results. */
export function printTable(): void {
  const list = (counts: Record<string, number>) =>
    Object.entries(counts)
      .map(([what, times]) => `${what} (${times}×)`)
      .join(', ') || '–'
  const rows = tallies.map((tally) => [
    tally.artifact,
    String(tally.rounds),
    String(tally.attempts),
    list(tally.winners),
    list(tally.losers),
    String(tally.serverErrors),
    list(tally.afterwards),
  ])
  const table = [
    ['raced by two processes', 'rounds', 'attempts', 'winners a round', 'losers', '5xx', 'afterwards'],
    ...rows,
  ]
  const widths = (table[0] ?? []).map((_, column) => Math.max(...table.map((row) => row[column]?.length ?? 0)))
  console.log(table.map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ')).join('\n'))
}
