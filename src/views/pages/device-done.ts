import type { ShownClient } from '../shown-client.ts'

export type DeviceDonePage = {
  outcome: 'approved' | 'denied'
  client: ShownClient | undefined
}
