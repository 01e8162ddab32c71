import { createSocket } from 'node:dgram'

export type RecordType = 'A' | 'AAAA'
export type NameServer = { address: string; asked: RecordType[]; stop(): Promise<void> }

const typeByCode: Record<number, RecordType> = { 1: 'A', 28: 'AAAA' }

/** Creates a name server on loopback (RFC 1035 §4). Its answers must not be cached, and it can stay silent. */
export async function createNameServer(
  answer: (type: RecordType) => readonly number[][] | undefined,
): Promise<NameServer> {
  const asked: RecordType[] = []
  const socket = createSocket('udp4')
  socket.on('message', (query, { port, address }) => {
    const endOfName = query.indexOf(0, 12)
    const type = typeByCode[query.readUInt16BE(endOfName + 1)] ?? 'A'
    asked.push(type)
    const found = answer(type)
    if (!found) return
    const header = Buffer.from(query.subarray(0, 12))
    header.writeUInt16BE(0x8180, 2) // an answer, without an error
    header.writeUInt16BE(found.length, 6)
    header.writeUInt16BE(0, 10)
    const records = found.flatMap((data) => [
      0xc0,
      12,
      0,
      type === 'A' ? 1 : 28,
      0,
      1,
      0,
      0,
      0,
      0,
      0,
      data.length,
      ...data,
    ])
    socket.send(Buffer.concat([header, query.subarray(12, endOfName + 5), Buffer.from(records)]), port, address)
  })
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', () => resolve()))
  return {
    address: `127.0.0.1:${socket.address().port}`,
    asked,
    stop: () => new Promise((resolve) => socket.close(() => resolve())),
  }
}
