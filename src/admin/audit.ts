import { z } from 'zod'
import * as audit from '../stores/audit.ts'
import { type Operation, operation } from './operation.ts'

/** The record of what happened. */
export function operations(): Operation[] {
  return [
    operation({
      noun: 'audit',
      verb: 'list',
      summary: 'Show what happened, newest first',
      input: z.object({ limit: z.coerce.number().int().min(1).max(1_000).default(50).describe('At most this many.') }),
      run: ({ database: { db } }, { limit }) => audit.list(db, { limit }),
    }),
  ]
}
