import type { Asker } from '../askers.ts'

export type DeviceDonePage = {
  outcome: 'approved' | 'denied'
  client: Asker | undefined
}
