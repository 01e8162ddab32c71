import type { Config } from '../../config/index.ts'
import { askIssuer, type OwnAnswer } from '../../egress/own-issuer.ts'
import { type Finding, messageOf, ok, problem, warning } from './finding.ts'

const noticeableMs = 2_000
const harmfulMs = 10_000 // of a tolerance of 15 s in tokens that others sign

/** Whether the issuer answers as itself, through whatever stands in front of it. `kids` are the keys in the database. */
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
        'Start the server if it does not run. Otherwise look at the name in DNS, the certificate, and the proxy in front.',
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
        `${ISSUER} answers 421: the proxy in front does not pass the Host header on`,
        `Have it pass Host unchanged, or set TRUSTED_PROXIES to its address and have it send X-Forwarded-Host and X-Forwarded-Proto.`,
      ),
    ]
  }
  const issuer = status === 200 ? issuerIn(body) : undefined
  if (issuer === ISSUER) return [ok(`${ISSUER} answers as itself`)]
  return [
    issuer === undefined
      ? problem(
          `${ISSUER} answers ${status}, and not with the metadata of a provider`,
          'Something else listens there: look at the proxy in front, and at PORT.',
        )
      : problem(
          `${ISSUER} answers as ${issuer}`,
          `Set ISSUER of the server to the address that people see, the same for all its processes and for this command.`,
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
      'Give this command the settings of that server, DATABASE_URL or DATA_DIR first of all.',
    ),
  ]
}

const wholeSecondMs = 1_000 // the Date header leaves out the rest of its second

function clockFindings({ date }: OwnAnswer, asked: Interval): Finding[] {
  const told = Date.parse(date ?? '')
  if (Number.isNaN(told)) return []
  return [clockFinding('the server', told, { fromMs: asked.fromMs - wholeSecondMs, toMs: asked.toMs })]
}

/** When something was asked and answered, by the clock here. */
export type Interval = { fromMs: number; toMs: number }

/** How far another clock, which was read at some time in an interval, is from the one here at least. */
export function clockFinding(whose: string, toldMs: number, { fromMs, toMs }: Interval): Finding {
  const differenceMs = Math.max(0, toldMs - toMs) - Math.max(0, fromMs - toldMs)
  const seconds = Math.abs(differenceMs / 1000).toFixed(1)
  const direction = differenceMs > 0 ? 'ahead of' : 'behind'
  if (Math.abs(differenceMs) < noticeableMs) return ok(`The clock of ${whose} agrees with the one here`)
  const told = `The clock of ${whose} is ${seconds} s ${direction} the one here`
  const remedy = 'Synchronise both, by NTP: tokens are judged by the time, with a tolerance of seconds.'
  return Math.abs(differenceMs) < harmfulMs ? warning(told, remedy) : problem(told, remedy)
}
