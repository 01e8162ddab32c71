import type { Socket } from 'node:net'

// RFC 4511 §4.14.1: an extended request with message ID 1.
const name = Buffer.from('1.3.6.1.4.1.1466.20037')
const request = Buffer.concat([
  Buffer.from([0x30, name.length + 7, 0x02, 0x01, 0x01, 0x77, name.length + 2, 0x80, name.length]),
  name,
])
const mostBytes = 4_096

/**
 * Asks a server to encrypt an open connection. It throws unless the server agrees and sends nothing more: bytes after the
 * answer were sent by somebody on the network, to pass for an answer inside the encryption.
 */
export function startTls(socket: Socket): Promise<void> {
  return new Promise((resolve, reject) => {
    let received: Buffer = Buffer.alloc(0)
    const stop = () => {
      socket.off('data', read).off('error', fail).off('close', lose)
      socket.pause()
    }
    const fail = (error: Error) => {
      stop()
      reject(error)
    }
    const lose = () => fail(new Error('the server closed the connection'))
    const read = (chunk: Buffer) => {
      received = Buffer.concat([received, chunk])
      const end = endOfMessage(received)
      if (received.length > mostBytes) return fail(new Error('the answer to StartTLS is too long'))
      if (end === undefined || received.length < end) return
      if (received.length > end) return fail(new Error('there were bytes after the answer to StartTLS'))
      if (!isAgreement(received)) return fail(new Error('the server does not offer StartTLS'))
      stop()
      resolve()
    }
    socket.on('data', read).on('error', fail).on('close', lose)
    socket.write(request)
  })
}

/** Returns where the first message ends, as far as its length has arrived. */
function endOfMessage(bytes: Buffer): number | undefined {
  const header = headerAt(bytes, 0)
  return header && header.start + header.length
}

/** Returns whether an answer to message 1 is an extended response (0x78) with the result `success`. */
function isAgreement(bytes: Buffer): boolean {
  const message = headerAt(bytes, 0)
  if (!message || bytes[0] !== 0x30) return false
  const id = bytes.subarray(message.start, message.start + 3)
  const at = message.start + 3
  const response = headerAt(bytes, at)
  if (!id.equals(Buffer.from([0x02, 0x01, 0x01])) || bytes[at] !== 0x78 || !response) return false
  return bytes.subarray(response.start, response.start + 3).equals(Buffer.from([0x0a, 0x01, 0x00]))
}

/** Reads the length of an element (ITU-T X.690 §8.1.3), and where its content starts. */
function headerAt(bytes: Buffer, at: number): { start: number; length: number } | undefined {
  const first = bytes[at + 1]
  if (first === undefined) return undefined
  if (first < 0x80) return { start: at + 2, length: first }
  const size = first & 0x7f
  if (size === 0 || size > 4) return { start: at + 2, length: 0 }
  if (bytes.length < at + 2 + size) return undefined
  return { start: at + 2 + size, length: bytes.readUIntBE(at + 2, size) }
}
