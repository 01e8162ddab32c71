import { setTimeout as sleep } from 'node:timers/promises'
import { createTurns } from '../../crypto/turns.ts'
import { CKF, CKR } from './constants.ts'
import { codeOf, findSlot, initialize, login, PinRefused, type TokenSettings } from './cryptoki.ts'
import { type Cryptoki, type Handle, load } from './pkcs11js.ts'

/** A session with a token, for one operation at a time. */
export type Session = {
  cryptoki: Cryptoki
  handle: Handle
  /** Handles of private keys that were looked up. They are valid as long as the connection. */
  keys: Map<string, Handle>
  /** Throws if the token is away, because a search then finds no keys instead of failing. */
  confirm(): void
}

/** A token with a login, which is renewed after the token was away. */
export type Token = {
  mechanisms: ReadonlySet<number>
  /** Runs work in a session of its own. If the token went away, the work runs once more from the start. */
  use<T>(work: (session: Session) => Promise<T>): Promise<T>
  close(): Promise<void>
}

type Connection = {
  slot: Handle
  /** The session that keeps the login: a process is logged in as long as one is open (PKCS #11 v2.40 §5.6). */
  keeper: Handle
  idle: Handle[]
  keys: Map<string, Handle>
  running: Set<Promise<unknown>>
  isOurs: boolean
}

// Each operation holds one of libuv's four threads, which passwords (two at once) and DNS need as well.
const sessionsAtOnce = 2
const longestQueue = 1000
const pausesMs = [20, 50, 100, 200]

/** Codes that mean that the token went away or the module lost it. After any other, a query to the token decides. */
const losses: readonly (number | undefined)[] = [
  CKR.DEVICE_ERROR,
  CKR.DEVICE_REMOVED,
  CKR.SESSION_CLOSED,
  CKR.SESSION_HANDLE_INVALID,
  CKR.TOKEN_NOT_PRESENT,
  CKR.TOKEN_NOT_RECOGNIZED,
  CKR.USER_NOT_LOGGED_IN,
  CKR.CRYPTOKI_NOT_INITIALIZED,
]

/**
 * Opens a token and logs in. Throws if the module, the token or the PIN is wrong.
 *
 * Connecting blocks the process, longest when the token does not answer, so it is tried at most every `retryAfterMs`.
 */
export async function openToken(settings: TokenSettings, retryAfterMs: number): Promise<Token> {
  const cryptoki = await load(settings.module)
  const inTurn = createTurns({
    atOnce: sessionsAtOnce,
    longestQueue,
    refusal: () => new Error('The key-management service is too slow for the number of requests.'),
  })
  let connection: Connection | undefined
  let connecting: Promise<void> | undefined
  let ending: Promise<void> | undefined
  let failure: { error: unknown; until: number } | undefined
  let isClosed = false

  async function connected(): Promise<Connection> {
    for (;;) {
      if (ending) await ending
      else if (isClosed) throw new Error('The key-management service was closed.')
      else if (connection) return connection
      else if (failure && Date.now() < failure.until) throw failure.error
      else {
        connecting ??= reconnect()
        await connecting
      }
    }
  }

  async function reconnect(): Promise<void> {
    try {
      connection = await connectPatiently(cryptoki, settings)
      failure = undefined
    } catch (error) {
      const isFinal = error instanceof PinRefused
      failure = { error, until: isFinal ? Number.POSITIVE_INFINITY : Date.now() + retryAfterMs }
      throw error
    } finally {
      connecting = undefined
    }
  }

  /** Ends a connection once no call runs on it: a module must not be finalized during a call. */
  function end(lost: Connection): void {
    if (connection !== lost) return
    connection = undefined
    ending = Promise.allSettled(lost.running).then(() => {
      disconnect(cryptoki, lost)
      ending = undefined
    })
  }

  async function run<T>(on: Connection, work: (session: Session) => Promise<T>): Promise<T> {
    const { slot, idle, keys } = on
    let session: Handle | undefined
    try {
      const handle = idle.pop() ?? openSession(cryptoki, slot)
      session = handle
      const result = await work({ cryptoki, handle, keys, confirm: () => cryptoki.C_GetTokenInfo(slot) })
      idle.push(handle)
      return result
    } catch (error) {
      if (losses.includes(codeOf(error)) || !isPresent(cryptoki, slot)) end(on)
      else attempt(() => session && cryptoki.C_CloseSession(session)) // an operation may still be active in it
      throw error
    }
  }

  async function tracked<T>(on: Connection, work: (session: Session) => Promise<T>): Promise<T> {
    if (on !== connection) throw new Error('The key-management service went away.')
    const running = run(on, work)
    on.running.add(running)
    try {
      return await running
    } finally {
      on.running.delete(running)
    }
  }

  const first = await connected()
  return {
    mechanisms: new Set(cryptoki.C_GetMechanismList(first.slot)),
    use: (work) =>
      inTurn(async () => {
        const on = await connected()
        try {
          return await tracked(on, work)
        } catch (error) {
          if (on === connection) throw error
          return await tracked(await connected(), work)
        }
      }),
    async close() {
      isClosed = true
      await connecting?.catch(() => {})
      if (connection) end(connection)
      await ending
    },
  }
}

/** Connects, with retries: SoftHSM shows no token while another process logs in and writes to it. */
async function connectPatiently(cryptoki: Cryptoki, settings: TokenSettings): Promise<Connection> {
  for (const pauseMs of pausesMs) {
    try {
      return connect(cryptoki, settings)
    } catch (error) {
      if (error instanceof PinRefused) throw error
      await sleep(pauseMs)
    }
  }
  return connect(cryptoki, settings)
}

function connect(cryptoki: Cryptoki, settings: TokenSettings): Connection {
  const isOurs = initialize(cryptoki)
  try {
    const slot = findSlot(cryptoki, settings)
    const keeper = openSession(cryptoki, slot)
    login(cryptoki, { slot, session: keeper, pin: settings.pin })
    return { slot, keeper, idle: [], keys: new Map(), running: new Set(), isOurs }
  } catch (error) {
    if (isOurs) attempt(() => cryptoki.C_Finalize())
    throw error
  }
}

const openSession = (cryptoki: Cryptoki, slot: Handle) =>
  cryptoki.C_OpenSession(slot, CKF.SERIAL_SESSION | CKF.RW_SESSION)

function disconnect(cryptoki: Cryptoki, { keeper, idle, isOurs }: Connection): void {
  for (const session of [...idle, keeper]) attempt(() => cryptoki.C_CloseSession(session))
  if (isOurs) attempt(() => cryptoki.C_Finalize())
}

function isPresent(cryptoki: Cryptoki, slot: Handle): boolean {
  try {
    cryptoki.C_GetTokenInfo(slot)
    return true
  } catch {
    return false
  }
}

/** Runs work that may fail because it was done before. */
function attempt(work: () => unknown): void {
  try {
    work()
  } catch {}
}
