import type { Secret } from '../../secret.ts'
import type { Difference } from './differences.ts'

/** A change that brings one policy, resource server or client to its declared state. */
export type Change = {
  action: 'create' | 'update' | 'delete'
  kind: 'policy' | 'resource' | 'client' | 'upstream provider'
  /** The name of the policy, the identifier of the resource server, or the ID of the client. */
  name: string
  differences: Difference[]
}

/** The changes that a declaration requires, in their order. `unchanged` counts the things that are already as declared. */
export type Plan = { changes: Change[]; unchanged: number }

/** A generated client secret, which is shown only once. */
export type NewSecret = {
  kind: 'resource' | 'client'
  name: string
  client_id: string
  client_secret: Secret
}
