import type Provider from 'oidc-provider'
import type { ActiveClient } from '../../stores/clients/clients.ts'
import type { Client } from '../engine.ts'
import { current } from '../request/work.ts'

type PreviousSecret = NonNullable<ActiveClient['previousSecret']>

/** What the engine keeps of a client's secret as keys, to verify `client_secret_jwt` with (RFC 7523 §2.2). */
type SymmetricKeys = Iterable<{ use: string; k: string }> & {
  selectForVerify(options: object): object[]
  getKeyObject(key: object, ...rest: unknown[]): unknown
}

/**
 * Teaches the engine that a client may have two secrets for a while, so that one can be replaced without an outage.
 *
 * @returns what gives a client the secret it had before. It is kept beside the client and not on it, because what is
 * on it is its metadata and gets shown; and it ends when it ends, however long the client is kept.
 */
export function acceptPreviousSecrets({
  Client: { prototype },
}: Provider): (client: Client, previous: PreviousSecret) => void {
  const previousSecrets = new WeakMap<Client, PreviousSecret>()
  const compare = prototype.compareClientSecret

  prototype.compareClientSecret = async function (this: Client, presented) {
    const previous = previousSecrets.get(this)
    const secrets = [this.clientSecret, ...(previous && isGood(previous) ? [previous.value.reveal()] : [])]
    // All are compared, each in constant time, so that how long it takes does not tell which one it was.
    const matches = await Promise.all(
      secrets.map((clientSecret) => compare.call({ clientSecret } as Client, presented)),
    )
    noteWhich(!matches[0])
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
    ...(isGood(previous) ? previousKeys.selectForVerify(options) : []),
  ]
  // Keys are tried one after the other until one verifies the assertion.
  const getKeyObject = keys.getKeyObject.bind(keys)
  const previousKey = new Set<object>(previousKeys)
  keys.getKeyObject = (key, ...rest) => {
    noteWhich(previousKey.has(key))
    return getKeyObject(key, ...rest)
  }
}

/** Notes which secret the client of this request had, since the one before may end while the request is under way. */
function noteWhich(isPrevious: boolean): void {
  const work = current()
  if (work) work.reads.isByPreviousSecret = isPrevious
}

const isGood = ({ expiresAtMs }: PreviousSecret) => expiresAtMs > Date.now()
