import { z } from 'zod'

/** The level and the form of the log. */
export const logSettings = {
  LOG_LEVEL: z
    .enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'])
    .default('info')
    .describe('The least severe level that is logged.'),
  LOG_FORMAT: z
    .enum(['auto', 'json', 'text'])
    .default('auto')
    .describe('Form of the log: JSON for programs, text for people. `auto` is text on a terminal, JSON elsewhere.'),
}
