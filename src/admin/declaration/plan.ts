import type { Secret } from '../../secret.ts'
import type { Difference } from './differences.ts'

/** What has to be done about one thing so that it is as declared. */
export type Change = {
  action: 'create' | 'update' | 'delete'
  kind: 'policy' | 'resource' | 'client'
  /** The name of the policy, the identifier of the resource server, the id of the client. */
  name: string
  differences: Difference[]
}

/** All that a declaration comes to, in the order it is done. */
export type Plan = { changes: Change[]; unchanged: number }

/** A client secret that was made, which is shown this once. */
export type NewSecret = {
  kind: 'resource' | 'client'
  name: string
  client_id: string
  client_secret: Secret
}
