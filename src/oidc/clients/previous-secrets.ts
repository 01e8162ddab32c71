import type Provider from 'oidc-provider'
import type { ActiveClient } from '../../stores/clients/clients.ts'
import type { Client } from '../engine.ts'
import { current } from '../request/work.ts'

type PreviousSecret = NonNullable<ActiveClient['previousSecret']>

/** The keys that the engine derives from a client's secret, to verify `client_secret_jwt` with (RFC 7523 §2.2). */
type SymmetricKeys = Iterable<{ use: string; k: string }> & {
  selectForVerify(options: object): object[]
  getKeyObject(key: object, ...rest: unknown[]): unknown
}

/**
 * Makes the engine accept two secrets of a client for a while, so that one can be replaced without an outage.
 *
 * @returns a function that gives a client its previous secret. That is kept beside the client, because the members of a
 *   client are metadata and get shown. It ends on time, however long the client is kept.
 */
export function acceptPreviousSecrets({
  Client: { prototype },
}: Provider): (client: Client, previous: PreviousSecret) => void {
  const previousSecrets = new WeakMap<Client, PreviousSecret>()
  const compare = prototype.compareClientSecret

  prototype.compareClientSecret = async function (this: Client, presented) {
    const previous = previousSecrets.get(this)
    const secrets = [this.clientSecret, ...(previous && isValid(previous) ? [previous.value.reveal()] : [])]
    // All are compared, each in constant time, so that the duration does not tell which one matched.
    const matches = await Promise.all(
      secrets.map((clientSecret) => compare.call({ clientSecret } as Client, presented)),
    )
    recordWhich(!matches[0])
    return matches.includes(true)
  }

  return (client, previous) => {
    previousSecrets.set(client, previous)
    if (client.clientAuthMethod === 'client_secret_jwt') verifyWith(client, previous)
  }
}

function verifyWith(client: Client, previous: PreviousSecret): void {
  const { symmetricKeyStore: keys } = client as Client & { symmetricKeyStore: SymmetricKeys }
  const k = Buffer.from(previous.value.reveal()).toString('base64url')
  const previousKeys: SymmetricKeys = Reflect.construct(keys.constructor, [
    [...keys].filter(({ use }) => use === 'sig').map((key) => ({ ...key, k })),
  ])
  const select = keys.selectForVerify.bind(keys)
  keys.selectForVerify = (options) => [
    ...select(options),
    ...(isValid(previous) ? previousKeys.selectForVerify(options) : []),
  ]
  // Keys are tried one after the other until one verifies the assertion.
  const getKeyObject = keys.getKeyObject.bind(keys)
  const previousKey = new Set<object>(previousKeys)
  keys.getKeyObject = (key, ...rest) => {
    recordWhich(previousKey.has(key))
    return getKeyObject(key, ...rest)
  }
}

/** Records which secret authenticated the client, because the previous one may end while the request is under way. */
function recordWhich(isPrevious: boolean): void {
  const work = current()
  if (work) work.reads.isByPreviousSecret = isPrevious
}

const isValid = ({ expiresAtMs }: PreviousSecret) => expiresAtMs > Date.now()
