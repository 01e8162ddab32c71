import type Provider from 'oidc-provider'
import type { z } from 'zod'
import type { UpstreamClient } from '../authentication/federation/upstream-client.ts'
import type { Config } from '../config/index.ts'
import type { Envelope } from '../crypto/envelope.ts'
import type { Passwords } from '../crypto/passwords.ts'
import type { Database } from '../database/connect.ts'
import type { Tx } from '../database/schema.ts'
import type { RotationDependencies } from '../keys/rotation.ts'
import type { Compose } from '../mail/delivery.ts'
import type { AdminScope } from '../oidc/admin-resource.ts'
import type { Storage } from '../oidc/request/storage.ts'
import type { Refusal } from '../registration/refusal.ts'
import type { UnattributedEvent } from '../stores/operations/audit.ts'
import type { SendLetter } from '../stores/operations/letters.ts'

/** The parts of the server that operations use. */
export type OperationDependencies = {
  config: Config
  database: Database
  storage: Storage
  provider: Provider
  passwords: Passwords
  keys: RotationDependencies
  /** Makes the mail of a letter. */
  compose: Compose
  /** Speaks with the providers that people may sign in with. */
  upstreamClient: UpstreamClient
}

/** The administrator or program that performs an operation, and its origin. */
export type Performer = {
  actor: string
  address?: string | undefined
  requestId?: string | undefined
  /** The command that performs the operation as part of its work. */
  via?: 'apply'
  /** The admin API scopes that the performer has and may therefore grant to others. Undefined means all of them. */
  adminScopes?: readonly string[] | undefined
}

/** The context of one run of an operation. */
export type OperationContext = OperationDependencies & {
  /** The transaction of the operation and its audit event. */
  tx: Tx
  envelope: Envelope
  by: Performer
  /** Records what was done. An operation that changes something calls it exactly once. */
  record(event: UnattributedEvent): void
  /** Sends a letter once the transaction is committed. */
  mail: SendLetter
  /** Notes that a client was changed, so that this process forgets its cached copy. */
  changed(clientId: string): void
}

/** One thing that an administrator can do. The command line and the admin API are generated from it. */
export type Operation<
  Input extends z.ZodObject = z.ZodObject,
  Output extends z.ZodType = z.ZodType,
  Prepared = unknown,
> = {
  noun: string
  verb: string
  /** A phrase that begins with a verb and ends without a period. */
  summary: string
  /** The scope that an access token needs to do this over HTTP. */
  scope: AdminScope
  /** The route below `/admin/api`; `{name}` is a field of the input. An operation with GET changes nothing. */
  http: {
    method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
    path: `/${string}`
    status?: 200 | 201 | 204
    /** Whether its body may be larger than that of other operations. */
    isLarge?: true
  }
  /** Whether it destroys something irrecoverably. The command line then asks for confirmation. */
  isDestructive?: true
  /** The options, documented by `.describe()`. On the command line, the first one may be given without its name. */
  input: Input
  output: Output
  /** The members of list items that a terminal shows, if all of them would be too many. */
  columns?: readonly string[]
  /** Does slow work that needs no transaction, such as hashing, before the transaction begins. `run` gets the result. */
  prepare?(dependencies: OperationDependencies, input: z.output<Input>): Promise<Prepared>
  /** Performs the operation. Throws an OperationError if it is impossible. */
  run(context: OperationContext, input: z.output<Input>, prepared: Prepared): Promise<z.input<Output>>
}

/** Checks the types of an operation, and returns it with the type that all operations share. */
export function operation<Input extends z.ZodObject, Output extends z.ZodType, Prepared = undefined>(
  definition: Operation<Input, Output, Prepared>,
): Operation {
  return definition as unknown as Operation
}

/** The reason why an operation is impossible, for the administrator who requested it. */
export class OperationError extends Error {
  override name = 'OperationError'
  readonly kind: 'not-found' | 'forbidden' | 'conflict' | 'invalid'
  /** The reason in parts. `field` names the invalid field of the input, if there is one. */
  readonly refusal: Refusal

  constructor(kind: OperationError['kind'], why: Refusal | string) {
    const refusal = typeof why === 'string' ? { message: why } : why
    super(refusal.message)
    this.kind = kind
    this.refusal = refusal
  }
}
