import { crc32, deflateSync, inflateSync } from 'node:zlib'
import type { Picture } from './pictures.ts'

const signature = Buffer.from('89504e470d0a1a0a', 'hex')

// PNG (Third Edition) §11.2.1: the samples of a pixel, by the type of its colour.
const samplesByType: Record<number, number> = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 }
const withAlpha = 6

/** Writes a picture as a PNG with eight bits of red, green, blue and alpha. */
export function encode({ width, height, pixels }: Picture): Buffer {
  const header = Buffer.alloc(13)
  header.writeUInt32BE(width, 0)
  header.writeUInt32BE(height, 4)
  header.set([8, withAlpha], 8)
  const rows = Array.from({ length: height }, (_, y) => [
    Buffer.of(0), // the row is not filtered
    pixels.subarray(y * width * 4, (y + 1) * width * 4),
  ])
  return Buffer.concat([
    signature,
    chunk('IHDR', header),
    chunk('IDAT', deflateSync(Buffer.concat(rows.flat()), { level: 9 })),
    chunk('IEND', Buffer.alloc(0)),
  ])
}

function chunk(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data])
  const ends = Buffer.alloc(8)
  ends.writeUInt32BE(data.length, 0)
  ends.writeUInt32BE(crc32(body), 4)
  return Buffer.concat([ends.subarray(0, 4), body, ends.subarray(4)])
}

/**
 * Reads a PNG with eight bits a sample that is not interlaced, as nearly every program writes them. Returns `undefined`
 * for any other file, and for one that is damaged or claims to be larger than `mostPixels`.
 */
export function decode(bytes: Buffer, { mostPixels }: { mostPixels: number }): Picture | undefined {
  if (!bytes.subarray(0, 8).equals(signature)) return undefined
  const chunks = chunksOf(bytes)
  const header = chunks.find(({ type }) => type === 'IHDR')?.data
  if (header?.length !== 13) return undefined
  const [width, height] = [header.readUInt32BE(0), header.readUInt32BE(4)]
  const [bitDepth, colourType = 0, , , interlace] = header.subarray(8)
  const samples = samplesByType[colourType]
  if (bitDepth !== 8 || interlace !== 0 || !samples || width * height > mostPixels || width * height === 0)
    return undefined

  const compressed = Buffer.concat(chunks.filter(({ type }) => type === 'IDAT').map(({ data }) => data))
  const rows = unfiltered(inflated(compressed, height * (width * samples + 1)), { width, height, samples })
  if (!rows) return undefined
  const palette = chunks.find(({ type }) => type === 'PLTE')?.data ?? Buffer.alloc(0)
  const transparency = chunks.find(({ type }) => type === 'tRNS')?.data ?? Buffer.alloc(0)
  const pixels = Buffer.alloc(width * height * 4)
  for (let pixel = 0; pixel < width * height; pixel++) {
    const at = pixel * samples
    const [a = 0, b = 0, c = 0, d = 0] = rows.subarray(at, at + samples)
    const colour =
      colourType === 3
        ? [palette[a * 3] ?? 0, palette[a * 3 + 1] ?? 0, palette[a * 3 + 2] ?? 0, transparency[a] ?? 255]
        : samples <= 2
          ? [a, a, a, samples === 2 ? b : 255]
          : [a, b, c, samples === 4 ? d : 255]
    pixels.set(colour, pixel * 4)
  }
  return { width, height, pixels }
}

/** Returns the chunks of a file; none if one of them is damaged or the last is missing. */
function chunksOf(bytes: Buffer): { type: string; data: Buffer }[] {
  const chunks: { type: string; data: Buffer }[] = []
  for (let at = signature.length; at + 12 <= bytes.length; ) {
    const end = at + 8 + bytes.readUInt32BE(at)
    if (end + 4 > bytes.length || bytes.readUInt32BE(end) !== crc32(bytes.subarray(at + 4, end))) return []
    chunks.push({ type: bytes.toString('latin1', at + 4, at + 8), data: bytes.subarray(at + 8, end) })
    at = end + 4
  }
  return chunks.at(-1)?.type === 'IEND' ? chunks : []
}

function inflated(compressed: Buffer, length: number): Buffer | undefined {
  try {
    const data = inflateSync(compressed, { maxOutputLength: length })
    return data.length === length ? data : undefined
  } catch {
    return undefined // damaged, or longer than its header says
  }
}

// PNG (Third Edition) §9.2: a row may be stored as the difference to its neighbours.
function unfiltered(
  data: Buffer | undefined,
  { width, height, samples }: { width: number; height: number; samples: number },
): Buffer | undefined {
  if (!data) return undefined
  const length = width * samples
  const rows = Buffer.alloc(length * height)
  for (let y = 0; y < height; y++) {
    const filter = data[y * (length + 1)] ?? 0
    if (filter > 4) return undefined
    for (let x = 0; x < length; x++) {
      const at = y * length + x
      const left = x >= samples ? (rows[at - samples] ?? 0) : 0
      const above = y > 0 ? (rows[at - length] ?? 0) : 0
      const corner = x >= samples && y > 0 ? (rows[at - length - samples] ?? 0) : 0
      const predicted = [0, left, above, (left + above) >> 1, paeth(left, above, corner)][filter] ?? 0
      rows[at] = (data[y * (length + 1) + 1 + x] ?? 0) + predicted
    }
  }
  return rows
}

function paeth(left: number, above: number, corner: number): number {
  const estimate = left + above - corner
  const [toLeft, toAbove, toCorner] = [left, above, corner].map((value) => Math.abs(estimate - value)) as [
    number,
    number,
    number,
  ]
  if (toLeft <= toAbove && toLeft <= toCorner) return left
  return toAbove <= toCorner ? above : corner
}
