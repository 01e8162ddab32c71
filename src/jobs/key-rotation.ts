import type { Logger } from 'pino'
import type { Step } from '../keys/life-cycle.ts'
import { type RotationDependencies, takeStep } from '../keys/rotation.ts'
import { type Recurrence, recur } from './recurrence.ts'

const soonMs = 1_000
const longestMs = 60_000 // in case somebody asks for a rotation, or another process fails in the middle of one

/** Takes the steps in the life of keys when they are due, in whichever process is first. */
export function startRotatingKeys({ keys, log }: { keys: RotationDependencies; log: Logger }): Recurrence {
  let waitMs = longestMs / 6 // a start has enough to do without making the next keys

  return recur(() => waitMs, {
    async work(isStopped) {
      waitMs = soonMs
      while (!isStopped()) {
        const result = await takeStep(keys, new Date())
        if ('taken' in result) {
          log.info(about(result.taken), 'a key came further in its life')
          continue
        }
        const untilNextMs = (result.nextAt?.getTime() ?? 0) - Date.now()
        waitMs = Math.min(Math.max(untilNextMs, soonMs), longestMs)
        return
      }
    },
    onFailure: (error) => log.error({ err: error }, 'the rotation of keys failed, and will be tried again'),
  })
}

function about(step: Step): object {
  return step.kind === 'create'
    ? { step: step.kind, purpose: step.purpose }
    : { step: step.kind, purpose: step.key.purpose, kid: step.key.id }
}
