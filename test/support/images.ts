import { crc32, deflateSync } from 'node:zlib'

/** Creates a PNG of one colour, opaque or with an alpha, complete enough for a browser to show it. */
export function png(width: number, height: number, colour = [31, 106, 82]): Buffer<ArrayBuffer> {
  const row = Buffer.from([0, ...Array.from({ length: width }, () => colour).flat()].map(Number))
  const header = Buffer.alloc(13)
  header.writeUInt32BE(width, 0)
  header.writeUInt32BE(height, 4)
  header.set([8, colour.length === 4 ? 6 : 2], 8) // eight bits of red, green and blue, and of alpha if there is one
  const pixels = deflateSync(Buffer.concat(Array.from({ length: Math.min(height, 1024) }, () => row)))
  const signature = Buffer.from('89504e470d0a1a0a', 'hex')
  return Buffer.concat([signature, chunk('IHDR', header), chunk('IDAT', pixels), chunk('IEND', Buffer.alloc(0))])
}

export function chunk(type: string, data: Buffer): Buffer {
  const length = Buffer.alloc(4)
  length.writeUInt32BE(data.length)
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data])
  const sum = Buffer.alloc(4)
  sum.writeUInt32BE(crc32(body))
  return Buffer.concat([length, body, sum])
}

export const gif = Buffer.from('GIF89a\x20\x00\x10\x00\x80\x00\x00', 'latin1')
export const jpeg = Buffer.from(
  'ffd8ffe000104a46494600010101004800480000ffc0001108001000200301220002110103110100',
  'hex',
)
const riff = (chunk: string, data: string) =>
  Buffer.concat([
    Buffer.from('RIFF\x20\x00\x00\x00WEBP', 'latin1'),
    Buffer.from(chunk, 'latin1'),
    Buffer.from(data, 'hex'),
  ])
export const webp = {
  lossy: riff('VP8 ', '0a000000' + '3001009d012a' + '20001000' + '00000000'),
  lossless: riff('VP8L', '0a000000' + '2f' + '1fc00300' + '00000000000000000000'),
  extended: riff('VP8X', '0a000000' + '00000000' + '1f0000' + '0f0000' + '0000'),
}
