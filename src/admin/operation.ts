import type Provider from 'oidc-provider'
import type { z } from 'zod'
import type { Config } from '../config/index.ts'
import type { Passwords } from '../crypto/passwords.ts'
import type { Database } from '../database/connect.ts'
import type { Tx } from '../database/schema.ts'
import type { RotationDependencies } from '../keys/rotation.ts'
import type { AdminScope } from '../oidc/admin-resource.ts'
import type { Storage } from '../oidc/request/storage.ts'
import type { Refusal } from '../registration/refusal.ts'
import type { UnattributedEvent } from '../stores/operations/audit.ts'

/** What all operations stand on. */
export type OperationDependencies = {
  config: Config
  database: Database
  storage: Storage
  provider: Provider
  passwords: Passwords
  keys: RotationDependencies
}

/** Who does something, and from where. `via` is what did it for them, if not they themselves. */
export type Performer = {
  actor: string
  address?: string | undefined
  requestId?: string | undefined
  via?: 'apply'
  /** The scopes of the admin API they have, and so may hand on; all of them when it is not said. */
  adminScopes?: readonly string[] | undefined
}

/** What one run of an operation has at hand. */
export type OperationContext = OperationDependencies & {
  /** The transaction of the operation and its audit event. */
  tx: Tx
  by: Performer
  /** Records what was done. An operation that changes something calls it exactly once. */
  record(event: UnattributedEvent): void
  /** Says that a client is no longer as this process remembers it. */
  changed(clientId: string): void
}

/** One thing an operator can do. The command line and the admin API are generated from it. */
export type Operation<
  Input extends z.ZodObject = z.ZodObject,
  Output extends z.ZodType = z.ZodType,
  Prepared = unknown,
> = {
  noun: string
  verb: string
  /** Begins with a verb and ends without a period. */
  summary: string
  /** What a token must be good for to do this over HTTP. */
  scope: AdminScope
  /** Where it is below `/admin/api`; `{name}` is a field of the input. GET changes nothing. */
  http: { method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'; path: `/${string}`; status?: 200 | 201 | 204 }
  /** Whether it destroys what nobody can bring back. The command line then asks first. */
  isDestructive?: true
  /** Its options; `.describe()` is their documentation. The first may go without its name at the command line. */
  input: Input
  output: Output
  /** The members of a list that a terminal shows, where all would be too many. */
  columns?: readonly string[]
  /** What takes long and needs no transaction, such as hashing. It is done before one begins, and given to `run`. */
  prepare?(dependencies: OperationDependencies, input: z.output<Input>): Promise<Prepared>
  /** Throws an OperationError when it cannot be done. */
  run(context: OperationContext, input: z.output<Input>, prepared: Prepared): Promise<z.input<Output>>
}

/** An operation with its types checked. */
export function operation<Input extends z.ZodObject, Output extends z.ZodType, Prepared = undefined>(
  definition: Operation<Input, Output, Prepared>,
): Operation {
  return definition as unknown as Operation
}

/** The reason why an operation cannot be done, for the administrator who asked for it. */
export class OperationError extends Error {
  override name = 'OperationError'
  readonly kind: 'not-found' | 'forbidden' | 'conflict' | 'invalid'
  /** The same in parts: `field` is the wrong field of the input, if one is. */
  readonly refusal: Refusal

  constructor(kind: OperationError['kind'], why: Refusal | string) {
    const refusal = typeof why === 'string' ? { message: why } : why
    super(refusal.message)
    this.kind = kind
    this.refusal = refusal
  }
}
