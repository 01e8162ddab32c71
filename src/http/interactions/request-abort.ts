import type { Handler, Interactions } from './interactions.ts'

/** Returns a person who cancels to the app, which learns that access was denied. */
export function requestAbort({ interactions }: { interactions: Interactions }): Handler<unknown> {
  return (ctx, interaction) =>
    interactions.finish(ctx, interaction, { error: 'access_denied', error_description: 'the person cancelled' })
}
