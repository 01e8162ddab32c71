import { describe, expect, test } from 'vitest'
import { parse } from '../../src/config/index.ts'
import { type Rule, rules, settlingMs, stepsAhead } from '../../src/keys/life-cycle.ts'
import type { Key } from '../../src/stores/keys/keys.ts'

const config = parse({})
const days = 86_400_000
const begin = Date.parse('2026-01-01T00:00:00Z')

/**
 * Simulates the keys of a deployment for one purpose, without the database. Returns the keys and the dates of the
 * steps.
 */
function simulate(purpose: string, rule: Rule, { forMs, delayMs }: { forMs: number; delayMs: () => number }) {
  const keys: Key[] = []
  const history: { at: Date; kind: string }[] = []
  let now = new Date(begin)
  for (;;) {
    const [next] = stepsAhead(keys, purpose, rule).toSorted((a, b) => a.at.getTime() - b.at.getTime())
    if (!next || next.at.getTime() >= begin + forMs) return { keys, history }
    now = new Date(Math.max(now.getTime(), next.at.getTime()) + delayMs())
    const { step } = next
    const key = step.kind === 'create' ? create(keys, purpose, now) : step.key
    if (step.kind === 'publish') Object.assign(key, { state: 'published', publishedAt: now })
    if (step.kind === 'remove') Object.assign(key, { state: 'removed', removedAt: now })
    if (step.kind === 'activate') {
      Object.assign(active(keys), { state: 'retired', retiredAt: now })
      Object.assign(key, { state: 'active', activeAt: now })
    }
    expect(keys.filter(({ state }) => state === 'active')).toHaveLength(1)
    expect(keys.filter(({ state }) => state === 'pending' || state === 'published').length).toBeLessThanOrEqual(1)
    history.push({ at: now, kind: step.kind })
  }
}

function active(keys: Key[]): Key {
  return keys.find(({ state }) => state === 'active') as Key
}

function create(keys: Key[], purpose: string, at: Date): Key {
  const isFirst = keys.length === 0
  const key: Key = {
    id: String(keys.length),
    purpose,
    state: isFirst ? 'active' : 'pending',
    publicJwk: undefined,
    isKept: true,
    serviceReference: undefined,
    createdAt: at,
    publishedAt: isFirst ? at : undefined,
    activeAt: isFirst ? at : undefined,
    retiredAt: undefined,
    removedAt: undefined,
    revokedAt: undefined,
    rotationRequestedAt: undefined,
  }
  keys.push(key)
  return key
}

const ruleOf = (purpose: string, from = config) => rules(from).get(purpose) as Rule
const prompt = () => 0
/** Returns a delay, which is sometimes several days, as if nobody were there. */
const lazy = () => (Math.random() < 0.2 ? Math.random() * 9 * days : Math.random() * 60_000)
const moment = (at: Date | undefined) => at?.getTime() ?? Number.NaN

describe('the life of keys over three years', () => {
  test.each([...rules(config).keys()].flatMap((purpose) => [[purpose, prompt] as const, [purpose, lazy] as const]))(
    'keeps every promise for %s, however late its steps are taken',
    (purpose, delayMs) => {
      const rule = ruleOf(purpose)
      const { keys } = simulate(purpose, rule, { forMs: 3 * 365 * days, delayMs })
      if (!rule.rotation) return expect(keys).toHaveLength(1)
      expect(keys.length).toBeGreaterThan(20)
      for (const key of keys.slice(1)) {
        if (key.publishedAt) expect(moment(key.publishedAt)).toBeGreaterThanOrEqual(moment(key.createdAt) + settlingMs)
        if (!key.activeAt) continue
        // RFC 7517 §5: a relying party that caches the set of keys has every key that signs.
        expect(moment(key.activeAt)).toBeGreaterThanOrEqual(moment(key.publishedAt) + rule.rotation.rememberedMs)
      }
      for (const { retiredAt, removedAt, activeAt } of keys) {
        if (retiredAt) expect(moment(retiredAt) - moment(activeAt)).toBeGreaterThanOrEqual(rule.rotation.everyMs)
        if (removedAt) {
          const leastMs = settlingMs + rule.rotation.lastingMs
          expect(moment(removedAt) - moment(retiredAt)).toBeGreaterThanOrEqual(leastMs)
        }
      }
    },
  )

  test('rotates a signing key every thirty days, and always has the next one ready', () => {
    const { keys, history } = simulate('RS256', ruleOf('RS256'), { forMs: 365 * days, delayMs: prompt })
    const activated = history.filter(({ kind }) => kind === 'activate').map(({ at }) => (moment(at) - begin) / days)
    expect(activated.slice(0, 3)).toEqual([30, 60, 90])
    const [, second] = keys
    expect(moment(second?.createdAt)).toBe(begin)
    expect(moment(second?.publishedAt)).toBe(begin + settlingMs)
  })

  test("keeps a key longer than everything it signed, such as an API's tokens of a day or longer ones of the deployment", () => {
    const lasting = (settings: Record<string, string>) => ruleOf('ES256', parse(settings)).rotation?.lastingMs ?? 0
    expect(lasting({})).toBeGreaterThanOrEqual(86_400_000 + 300_000)
    expect(lasting({ ID_TOKEN_TTL_SECONDS: '604800' })).toBeGreaterThanOrEqual(604_800_000 + 300_000)
    expect(lasting({ ACCESS_TOKEN_TTL_SECONDS: '604800' })).toBeGreaterThanOrEqual(604_800_000 + 300_000)
    expect(ruleOf('cookie-key', parse({ SESSION_TTL_SECONDS: '99999999' })).rotation?.lastingMs).toBe(99_999_999_000)
  })
})

describe('the plan of keys', () => {
  test('lets the next key take over early on request, but not before every cache has it', () => {
    const rule = ruleOf('RS256')
    const { keys } = simulate('RS256', rule, { forMs: days, delayMs: prompt })
    const requestedAt = new Date(begin + 20_000)
    Object.assign(active(keys), { rotationRequestedAt: requestedAt })
    const takeover = stepsAhead(keys, 'RS256', rule).find(({ step }) => step.kind === 'activate')
    expect(moment(takeover?.at)).toBe(begin + settlingMs + config.JWKS_CACHE_SECONDS * 1000)

    Object.assign(active(keys), { rotationRequestedAt: new Date(begin + 10 * days) })
    const later = stepsAhead(keys, 'RS256', rule).find(({ step }) => step.kind === 'activate')
    expect(moment(later?.at)).toBe(begin + 10 * days)
  })

  test('has no more keys than the deployment uses', () => {
    expect([...rules(config).keys()]).not.toContain('ML-DSA-65')
    expect([...rules(parse({ ALLOW_ML_DSA: 'true' })).keys()]).toContain('ML-DSA-65')
    expect(stepsAhead([], 'RS256', ruleOf('RS256')).map(({ step }) => step.kind)).toEqual(['create'])
  })

  test('destroys a private key in a service once every process has learned that it is retired', () => {
    const rule = ruleOf('RS256')
    const { keys } = simulate('RS256', rule, { forMs: 30.5 * days, delayMs: prompt })
    const retired = keys.find(({ state }) => state === 'retired')
    Object.assign(retired as Key, { serviceReference: 'slot' })
    const steps = stepsAhead(keys, 'RS256', rule).filter(({ step }) => step.kind === 'destroy')
    expect(steps.map(({ at }) => moment(at))).toEqual([moment(retired?.retiredAt) + settlingMs])
  })
})
