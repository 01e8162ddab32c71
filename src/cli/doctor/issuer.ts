import type { Config } from '../../config/index.ts'
import { askIssuer, type OwnAnswer } from '../../egress/own-issuer.ts'
import { type Finding, messageOf, ok, problem, warning } from './finding.ts'

const noticeableMs = 2_000
const harmfulMs = 10_000 // the tolerance for tokens that others sign is 15 s

/** Examines whether the issuer answers as itself, through its proxy. `kids` are the IDs of the keys in the database. */
export async function issuerFindings(config: Config, kids: readonly string[] | undefined): Promise<Finding[]> {
  const at = (path: string) => new URL(path, config.ISSUER)
  let metadata: OwnAnswer
  const fromMs = Date.now()
  try {
    metadata = await askIssuer(at('/.well-known/openid-configuration'))
  } catch (error) {
    return [
      problem(
        `${config.ISSUER} does not answer from here: ${messageOf(error)}`,
        'Start the server if it is not running. Otherwise check its name in DNS, its certificate, and its proxy.',
      ),
    ]
  }
  const asked = { fromMs, toMs: Date.now() }
  return [
    ...answerFindings(config, metadata),
    ...(await keyFindings(at('/oauth/jwks'), kids)),
    ...clockFindings(metadata, asked),
  ]
}

function answerFindings({ ISSUER }: Config, { status, body }: OwnAnswer): Finding[] {
  if (status === 421) {
    return [
      problem(
        `${ISSUER} answers 421: its proxy does not forward the Host header`,
        `Configure the proxy to forward Host unchanged. Or set TRUSTED_PROXIES to its address and configure it to send X-Forwarded-Host and X-Forwarded-Proto.`,
      ),
    ]
  }
  const issuer = status === 200 ? issuerIn(body) : undefined
  if (issuer === ISSUER) return [ok(`${ISSUER} answers as itself`)]
  return [
    issuer === undefined
      ? problem(
          `${ISSUER} answers ${status}, but not with the metadata of a provider`,
          'Another program answers there. Check the proxy and PORT.',
        )
      : problem(
          `${ISSUER} answers as ${issuer}`,
          `Set ISSUER to the address that people see, to the same value for all processes of the server and for this command.`,
        ),
  ]
}

function issuerIn(body: string): string | undefined {
  try {
    const { issuer } = JSON.parse(body) as { issuer?: unknown }
    return typeof issuer === 'string' ? issuer : undefined
  } catch {
    return undefined
  }
}

async function keyFindings(url: URL, kids: readonly string[] | undefined): Promise<Finding[]> {
  if (!kids) return []
  const answer = await askIssuer(url).catch(() => undefined)
  const published =
    answer?.status === 200 ? (answer.body.match(/"kid":"([^"]+)"/g) ?? []).map((member) => member.slice(7, -1)) : []
  if (published.some((kid) => kids.includes(kid))) return [ok('It publishes the keys of this database')]
  return [
    problem(
      'It does not publish the keys of this database: another server answers there',
      'Give this command the settings of that server, above all DATABASE_URL or DATA_DIR.',
    ),
  ]
}

const wholeSecondMs = 1_000 // the Date header is rounded down to a second

function clockFindings({ date }: OwnAnswer, asked: Interval): Finding[] {
  const told = Date.parse(date ?? '')
  if (Number.isNaN(told)) return []
  return [clockFinding('the server', told, { fromMs: asked.fromMs - wholeSecondMs, toMs: asked.toMs })]
}

/** The times of a question and its answer, by the clock of this machine. */
export type Interval = { fromMs: number; toMs: number }

/** Compares another clock, which was read at some time in an interval, with this one. It reports the smallest difference. */
export function clockFinding(whose: string, toldMs: number, { fromMs, toMs }: Interval): Finding {
  const differenceMs = Math.max(0, toldMs - toMs) - Math.max(0, fromMs - toldMs)
  const seconds = Math.abs(differenceMs / 1000).toFixed(1)
  const direction = differenceMs > 0 ? 'ahead of' : 'behind'
  if (Math.abs(differenceMs) < noticeableMs) return ok(`The clock of ${whose} agrees with the clock here`)
  const told = `The clock of ${whose} is ${seconds} s ${direction} the clock here`
  const remedy = 'Synchronise both with NTP. The lifetimes of tokens are checked with a tolerance of only seconds.'
  return Math.abs(differenceMs) < harmfulMs ? warning(told, remedy) : problem(told, remedy)
}
