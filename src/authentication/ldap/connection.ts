import net from 'node:net'
import tls from 'node:tls'
import { Client } from 'ldapts'
import type { LdapServer } from '../../config/settings/ldap.ts'
import type { DirectoryRules } from './rules.ts'
import { startTls } from './start-tls.ts'

const mostBytes = 1_048_576 // of all answers of a connection; an entry with a thousand groups has a tenth of it
const sliceBytes = 4_096 // fewer than a thousand of the shortest messages

/** The settings of a connection. */
export type ConnectionRules = Pick<DirectoryRules, 'startTls' | 'ca' | 'timeoutMs'>

/**
 * Connects to a server, does some work, and closes the connection. All of it together ends after the timeout, or when the
 * server has sent too much. It then throws, and nothing of the connection is left.
 *
 * The client library is given a connection that is open and encrypted. It would otherwise connect again by itself, without
 * the bind before, and its own StartTLS keeps bytes that somebody on the network sent before the encryption began.
 */
export async function withConnection<T>(
  server: LdapServer,
  rules: ConnectionRules,
  work: (client: Client) => Promise<T>,
): Promise<T> {
  const sockets: net.Socket[] = []
  const { promise: ended, reject: end } = Promise.withResolvers<never>()
  ended.catch(() => {}) // the race below has it, unless the work is done first
  const timer = setTimeout(() => end(new Error(`no answer within ${rules.timeoutMs} ms`)), rules.timeoutMs)
  try {
    const open = async (): Promise<T> => {
      const socket = await openSocket(server, rules, (each) => {
        each.on('error', end)
        sockets.push(each)
      })
      socket.on('close', () => end(new Error('the server closed the connection')))
      let bytes = 0
      deliverInSlices(socket)
      socket.on('data', (chunk: Buffer) => {
        bytes += chunk.length
        if (bytes > mostBytes) socket.destroy(new Error(`more than ${mostBytes} bytes of answers`))
      })
      return work(clientOn(socket, rules))
    }
    return await Promise.race([open(), ended])
  } finally {
    clearTimeout(timer)
    for (const socket of sockets) socket.destroy()
  }
}

function clientOn(socket: net.Socket, { timeoutMs }: ConnectionRules): Client {
  let isTaken = false
  return new Client({
    url: 'ldap://connected.invalid', // required, but the connection is open already
    timeout: timeoutMs,
    createConnection() {
      if (isTaken) throw new Error('the connection was lost')
      isTaken = true
      return socket
    },
  })
}

/**
 * Makes a socket deliver what it receives in slices. The client library calls itself for each further message of a chunk, so
 * that a chunk of very many messages would exceed the stack and end the process.
 */
function deliverInSlices(socket: net.Socket): void {
  const emit: (event: string | symbol, ...values: unknown[]) => boolean = socket.emit.bind(socket)
  socket.emit = (event: string | symbol, ...values: unknown[]) => {
    const [chunk] = values
    if (event !== 'data' || !Buffer.isBuffer(chunk)) return emit(event, ...values)
    for (let at = 0; at < chunk.length && !socket.destroyed; at += sliceBytes) {
      emit('data', chunk.subarray(at, at + sliceBytes))
    }
    return true
  }
}

async function openSocket(
  { host, port, isTls, isLoopback }: LdapServer,
  rules: ConnectionRules,
  keep: (socket: net.Socket) => void,
): Promise<net.Socket> {
  if (!isTls && !rules.startTls && !isLoopback) throw new Error('ldap:// needs StartTLS')
  const plain = net.connect({ host, port })
  keep(plain)
  await untilIt(plain, 'connect')
  if (!isTls && !rules.startTls) return plain
  if (!isTls) await startTls(plain)
  const secure = tls.connect({
    socket: plain,
    host, // the name that the certificate has to be for
    ...(net.isIP(host) === 0 && { servername: host }),
    ...(rules.ca !== undefined && { ca: rules.ca }),
    rejectUnauthorized: true, // whatever the environment says
  })
  keep(secure)
  await untilIt(secure, 'secureConnect')
  return secure
}

function untilIt(socket: net.Socket, event: 'connect' | 'secureConnect'): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once(event, resolve).once('error', reject)
    socket.once('close', () => reject(new Error('the server closed the connection')))
  })
}
