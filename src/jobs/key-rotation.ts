import type { Logger } from 'pino'
import { rules, type Step } from '../keys/life-cycle.ts'
import { type RotationDependencies, takeStep } from '../keys/rotation.ts'
import { type Recurrence, recur } from './recurrence.ts'

const soonMs = 1_000
const longestMs = 60_000 // in case somebody asks for a rotation, or another process fails during one

/**
 * Starts taking the steps in the life of keys when they are due, in whichever process is first. A failure for one
 * purpose, such as a key-management service that is away, does not delay the others.
 */
export function startRotatingKeys({ keys, log }: { keys: RotationDependencies; log: Logger }): Recurrence {
  let waitMs = longestMs / 6 // a starting process has enough to do without generating the next keys
  const onFailure = (error: unknown, purpose?: string) =>
    log.error({ err: error, purpose }, 'the rotation of keys failed, and will be tried again')

  /** Takes all due steps for a purpose, and returns the time of the next check. */
  async function rotate(purpose: string, isStopped: () => boolean): Promise<number> {
    try {
      while (!isStopped()) {
        const result = await takeStep(keys, purpose)
        if ('nextAt' in result) return result.nextAt?.getTime() ?? 0
        log.info(about(result.taken), messages[result.taken.kind])
      }
    } catch (error) {
      if (!isStopped()) onFailure(error, purpose)
    }
    return Number.POSITIVE_INFINITY
  }

  return recur(() => waitMs, {
    async work(isStopped) {
      let nextAt = Date.now() + longestMs
      for (const [purpose, { rotation }] of rules(keys.config)) {
        if (rotation) nextAt = Math.min(nextAt, await rotate(purpose, isStopped))
      }
      waitMs = Math.max(nextAt - Date.now(), soonMs)
    },
    onFailure,
  })
}

const messages: Record<Step['kind'], string> = {
  create: 'the next key was created',
  publish: 'a key is published',
  activate: 'a key is in use from now on',
  destroy: 'a private key was destroyed',
  remove: 'a key is no longer published',
}

function about(step: Step): object {
  return step.kind === 'create'
    ? { step: step.kind, purpose: step.purpose }
    : { step: step.kind, purpose: step.key.purpose, kid: step.key.id }
}
