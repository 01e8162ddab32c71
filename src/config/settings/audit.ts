import { secondsOrNone } from '../durations.ts'

/** The lifetime of audit events. */
export const auditSettings = {
  AUDIT_RETENTION_SECONDS: secondsOrNone
    .refine((seconds) => seconds === 0 || seconds >= 86_400, { error: 'must be at least 1d, or 0 to keep all of it' })
    .default(0)
    .describe('How long audit events are kept, such as 365d; 0 keeps all of them.'),
}
