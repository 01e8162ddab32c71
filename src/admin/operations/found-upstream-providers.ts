import { z } from 'zod'
import * as stored from '../../stores/clients/upstream-providers.ts'
import { type OperationContext, OperationError } from '../operation.ts'

export const id = z
  .string()
  .regex(/^[a-z][a-z0-9-]{0,31}$/, 'must be lower-case letters, digits and hyphens, at most 32')
  .describe('The name of the provider, which is part of its redirect URI and the value of idp_hint.')

/** Finds a provider. */
export const get = ({ tx, envelope }: OperationContext, wanted: string) =>
  existing(stored.find(tx, envelope, wanted), wanted)
/** Finds a provider and locks it until the transaction ends. */
export const lock = ({ tx, envelope }: OperationContext, wanted: string) =>
  existing(stored.lock(tx, envelope, wanted), wanted)

async function existing<T>(reading: Promise<T | undefined>, wanted: string): Promise<T> {
  const found = await reading
  if (!found) throw new OperationError('not-found', `There is no upstream provider ${wanted}.`)
  return found
}
