import { deviceOf } from '../../authentication/devices.ts'
import type { Db } from '../../database/schema.ts'
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

type NotOfAccounts = 'client' | 'registration_policy' | 'registration_token' | 'resource' | 'key' | 'keys' | 'secrets'

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
    const isPosition = typeof before === 'string' && /^\d{1,18}$/.test(before)
    const found = await audit.list(db, {
      accountId: person.account.id,
      before: isPosition ? before : undefined,
      limit: pageSize + 1,
    })
    const page = found.slice(0, pageSize)

    ctx.body = render(readerOf(ctx), 'account-activity', {
      ...frameOf(ctx, person, '/account/activity'),
      events: await Promise.all(page.filter(isTold).map(shown)),
      older: found.length > pageSize ? page.at(-1)?.id : undefined,
      isFirst: !isPosition,
    })
  }

  async function shown(event: audit.RecordedEvent): Promise<ShownEvent> {
    const { type, actor, clientId, details = {} } = event
    const { user_agent: userAgent, changed } = details
    return {
      type: typeOf(type as AccountEventType),
      isByAdministrator: actor !== undefined && actor !== 'system',
      at: event.occurredAt,
      address: actor === undefined ? event.address : undefined, // an administrator's address is their own business
      app: clientId === undefined ? undefined : knownAs((await apps.shown(clientId)).client),
      device: type === 'session.began' ? deviceOf(typeof userAgent === 'string' ? userAgent : undefined) : undefined,
      changed: Array.isArray(changed) ? changed.map(String) : [],
    }
  }
}

/** Returns whether a person is told of an event. That these pages were opened is no news, and has a session of its own. */
function isTold({ type, clientId }: audit.RecordedEvent): boolean {
  return !(clientId === accountPagesId && type.startsWith('consent.'))
}
