import { deviceOf } from '../../authentication/devices.ts'
import type { Db } from '../../database/schema.ts'
import type { Language } from '../../languages/index.ts'
import { readerOf } from '../../oidc/request/reader.ts'
import { accountPagesId } from '../../stores/clients/built-in.ts'
import * as audit from '../../stores/operations/audit.ts'
import type { EventType } from '../../stores/operations/audit-events.ts'
import type { ActivityType, ShownEvent } from '../../views/pages/account-activity.ts'
import type { Render } from '../../views/render.ts'
import { knownAs } from '../../views/shown-client.ts'
import type { AccountApps } from './apps.ts'
import type { FrameOf } from './frame.ts'
import type { AccountHandler } from './handler.ts'

/** The beginnings of the types that are about something else. */
// biome-ignore format: it is a list
type NotOfAccounts = 'accounts' | 'client' | 'key' | 'keys' | 'mail' | 'registration_policy' | 'registration_token' | 'resource' | 'secrets' | 'upstream'

/** The events that can be about an account. Each has a sentence on the page, or this does not compile. */
type AccountEventType = Exclude<EventType, `${NotOfAccounts}.${string}`>
const typeOf = (type: AccountEventType): ActivityType => type

const pageSize = 25

/** Shows what happened to an account, the newest first. */
export function activityShow({
  db,
  render,
  frameOf,
  apps,
}: {
  db: Db
  render: Render
  frameOf: FrameOf
  apps: AccountApps
}): AccountHandler<unknown> {
  return async (ctx, person) => {
    const { before } = ctx.query
    const { language } = readerOf(ctx)
    const isPosition = typeof before === 'string' && /^\d{1,18}$/.test(before)
    const found = await audit.list(db, {
      accountId: person.account.id,
      before: isPosition ? before : undefined,
      limit: pageSize + 1,
    })
    const page = found.slice(0, pageSize)

    ctx.body = render(readerOf(ctx), 'account-activity', {
      ...frameOf(ctx, person, '/account/activity'),
      events: await Promise.all(
        page.filter((event, index) => isTold(event, page[index - 1])).map((event) => shown(event, language)),
      ),
      older: found.length > pageSize ? page.at(-1)?.id : undefined,
      isFirst: !isPosition,
    })
  }

  async function shown(event: audit.RecordedEvent, language: Language): Promise<ShownEvent> {
    const { type, actor, clientId, details = {} } = event
    const { user_agent: userAgent, changed } = details
    return {
      type: typeOf(type as AccountEventType),
      isByAdministrator: actor !== undefined && actor !== 'system',
      at: event.occurredAt,
      address: actor === undefined ? event.address : undefined, // an administrator's address is their own business
      app: clientId === undefined ? undefined : knownAs((await apps.shown(clientId, language)).client, language),
      device: type === 'session.began' ? deviceOf(typeof userAgent === 'string' ? userAgent : undefined) : undefined,
      group: typeof details['group'] === 'string' ? details['group'] : undefined,
      changed: Array.isArray(changed) ? changed.map(String) : [],
    }
  }
}

/** Returns whether the page shows an event. Signing in to these pages themselves gives nothing to anybody,
 * and a password followed by a sign-in is one event to a person. */
function isTold({ type, clientId, address }: audit.RecordedEvent, next: audit.RecordedEvent | undefined): boolean {
  if (type === 'sign_in.succeeded') return next?.type !== 'session.began' || next.address !== address
  return !(clientId === accountPagesId && type.startsWith('consent.'))
}
