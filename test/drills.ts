import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { globSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'

// Runs the tests that take too long for `npm test`: the drills of test/support/kinds.ts, and then the protocol suite once
// for each algorithm that can sign ID tokens, except RS256, which `npm test` covers.
//
//   --brief         runs the whole protocol suite with ML-DSA-65 only; for the other algorithms it skips registration,
//                   which takes half of the time; looks at the pages in four languages only
//   --reports DIR   leaves vitest's JSON reports in DIR

const algorithms = ['ES256', 'EdDSA', 'PS256', 'ML-DSA-65']
const suite = globSync('test/protocol/*.test.ts')
const withoutRegistration = suite.filter((path) => !/rfc759|registration|client-id-metadata/.test(path))

type Report = {
  numPassedTests: number
  numFailedTests: number
  testResults: { status: string; assertionResults: { status: string; title: string }[] }[]
}

const { values } = parseArgs({ options: { brief: { type: 'boolean' }, reports: { type: 'string' } } })
const folder = values.reports ?? (await mkdtemp(join(tmpdir(), 'postern-drills-')))
try {
  if (!(await runDrills())) process.exitCode = 1
  for (const alg of algorithms) {
    const isWhole = !values.brief || alg === 'ML-DSA-65'
    if (!(await run(alg, isWhole ? suite : withoutRegistration))) process.exitCode = 1
  }
} finally {
  if (!values.reports) await rm(folder, { recursive: true })
}

/** Runs the drills with visible output, because some print tables, and returns whether they passed. */
async function runDrills(): Promise<boolean> {
  const report = join(folder, 'drills.json')
  const options = [
    'run',
    '--project=drills',
    '--maxWorkers=3',
    '--reporter=default',
    '--reporter=json',
    `--outputFile.json=${report}`,
  ]
  const env = { ...process.env, ...(values.brief && { POSTERN_TEST_BRIEF: '1' }) }
  const child = spawn('vitest', options, { stdio: 'inherit', env })
  const [code] = (await once(child, 'close')) as [number | null]
  return code === 0
}

/** Runs the suite with an algorithm and returns whether it passed. Prints a line, and vitest's output if it failed. */
async function run(alg: string, files: string[]): Promise<boolean> {
  const path = join(folder, `${alg}.json`)
  const startedMs = Date.now()
  const { code, output } = await vitest(
    ['run', '--project=postern', '--reporter=default', '--reporter=json', `--outputFile.json=${path}`, ...files],
    { POSTERN_TEST_ID_TOKEN_ALG: alg },
  )
  const report = await read(path)
  // That test passes only if ID tokens were signed with the algorithm in its title, not with RS256 again.
  const wasUsed = report.testResults
    .flatMap(({ assertionResults }) => assertionResults)
    .some(({ status, title }) => status === 'passed' && title.startsWith(`are signed with ${alg} for the test clients`))
  // A file that could not be loaded has no failed test.
  const broken = report.testResults.filter(
    ({ status, assertionResults }) => status === 'failed' && !assertionResults.some((one) => one.status === 'failed'),
  ).length
  const hasPassed = code === 0 && wasUsed
  if (!hasPassed) process.stdout.write(output)
  const seconds = Math.round((Date.now() - startedMs) / 1000)
  const counts = `${report.numPassedTests} passed, ${report.numFailedTests + broken} failed`
  process.stdout.write(`${alg}: ${counts} in ${seconds} s${wasUsed ? '' : ', but the algorithm was not used'}\n`)
  return hasPassed
}

async function read(path: string): Promise<Report> {
  try {
    return JSON.parse(await readFile(path, 'utf8'))
  } catch {
    return { numPassedTests: 0, numFailedTests: 0, testResults: [] }
  }
}

function vitest(options: string[], env: Record<string, string>): Promise<{ code: number | null; output: string }> {
  const chunks: Buffer[] = []
  const child = spawn('vitest', options, { env: { ...process.env, ...env } })
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => chunks.push(chunk))
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code) => resolve({ code, output: Buffer.concat(chunks).toString() }))
  })
}
