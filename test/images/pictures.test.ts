import { deflateSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { readImage } from '../../src/images/formats.ts'
import { pack } from '../../src/images/ico.ts'
import { draw, flatten, scale } from '../../src/images/pictures.ts'
import { decode, encode } from '../../src/images/png.ts'
import { chunk, png } from '../support/images.ts'

const most = { mostPixels: 10_000 }
const gradient = draw(24, (x, y) => [Math.floor(x) * 10, Math.floor(y) * 10, 77, 255 - Math.floor(x)])

/** Writes a PNG of 2 by 2 pixels from its rows, each with the number of its filter first. */
function written(colourType: number, rows: number[][], ...others: Buffer[]): Buffer {
  const header = Buffer.from([0, 0, 0, 2, 0, 0, 0, 2, 8, colourType, 0, 0, 0])
  return Buffer.concat([
    png(1, 1).subarray(0, 8),
    chunk('IHDR', header),
    ...others,
    chunk('IDAT', deflateSync(Buffer.from(rows.flat()))),
    chunk('IEND', Buffer.alloc(0)),
  ])
}

const pixelsOf = (bytes: Buffer) => [...(decode(bytes, most)?.pixels ?? [])]

describe('a PNG', () => {
  test('that was written is read again as it was', () => {
    const bytes = encode(gradient)
    expect(readImage(bytes)).toEqual({ type: 'image/png', width: 24, height: 24 })
    expect(decode(bytes, most)).toEqual(gradient)
  })

  test('is read in every type of colour', () => {
    const [a, b] = [10, 200]
    expect(
      pixelsOf(
        written(0, [
          [0, a, b],
          [0, b, a],
        ]),
      ).slice(0, 8),
    ).toEqual([a, a, a, 255, b, b, b, 255])
    expect(
      pixelsOf(
        written(4, [
          [0, a, 1, b, 2],
          [0, 0, 0, 0, 0],
        ]),
      ).slice(0, 8),
    ).toEqual([a, a, a, 1, b, b, b, 2])
    expect(
      pixelsOf(
        written(2, [
          [0, 1, 2, 3, 4, 5, 6],
          [0, 0, 0, 0, 0, 0, 0],
        ]),
      ).slice(0, 8),
    ).toEqual([1, 2, 3, 255, 4, 5, 6, 255])
    const palette = chunk('PLTE', Buffer.from([1, 2, 3, 4, 5, 6]))
    const transparency = chunk('tRNS', Buffer.from([9]))
    expect(
      pixelsOf(
        written(
          3,
          [
            [0, 0, 1],
            [0, 1, 0],
          ],
          palette,
          transparency,
        ),
      ).slice(0, 8),
    ).toEqual([1, 2, 3, 9, 4, 5, 6, 255])
  })

  test.each([
    ['none', 0, [40, 50]],
    ['sub', 1, [40, 10]],
    ['up', 2, [146, 106]],
    ['average', 3, [221, 186]],
    ['Paeth', 4, [146, 10]],
  ])('is read with the filter %s', (_, filter, row) => {
    const pixels = pixelsOf(
      written(0, [
        [0, 150, 200],
        [filter, ...row],
      ]),
    )
    expect([pixels[8], pixels[12]]).toEqual([40, 50])
  })

  test('is rejected if it is damaged, unfinished, or larger than it may be', () => {
    const bytes = encode(gradient)
    expect(decode(bytes, { mostPixels: 24 * 24 - 1 })).toBeUndefined()
    expect(decode(written(0, [[0, 1, 2]]), most)).toBeUndefined() // fewer rows than its header says
    for (let length = 0; length < bytes.length - 12; length += 7)
      expect(decode(bytes.subarray(0, length), most)).toBeUndefined()
    expect(
      decode(
        written(0, [
          [5, 1, 2],
          [0, 1, 2],
        ]),
        most,
      ),
    ).toBeUndefined() // no such filter
    expect(
      decode(
        written(1, [
          [0, 1, 2],
          [0, 1, 2],
        ]),
        most,
      ),
    ).toBeUndefined() // no such type of colour
  })
})

describe('a picture', () => {
  test('is scaled by averages, in which transparent pixels have no colour', () => {
    const quarters = draw(4, (x) => (x < 2 ? [200, 0, 0, 255] : [0, 0, 0, 0]))
    expect([...scale(quarters, 2).pixels.subarray(0, 8)]).toEqual([200, 0, 0, 255, 0, 0, 0, 0])
    expect([...scale(quarters, 1).pixels]).toEqual([200, 0, 0, 128])
  })

  test('is flattened over a colour', () => {
    const half = draw(1, () => [200, 0, 0, 51])
    expect([...flatten(half, [0, 100, 0]).pixels]).toEqual([40, 80, 0, 255])
  })
})

test('an icon file holds each picture at the place that its directory says', () => {
  const icons = [16, 256].map((size) => ({ size, png: png(size, size) }))
  const bytes = pack(icons)
  expect(bytes.readUInt16LE(4)).toBe(2)
  for (const [index, { size, png: picture }] of icons.entries()) {
    const entry = bytes.subarray(6 + 16 * index, 22 + 16 * index)
    expect([entry[0], entry[1]]).toEqual([size % 256, size % 256])
    const [length, offset] = [entry.readUInt32LE(8), entry.readUInt32LE(12)]
    expect(bytes.subarray(offset, offset + length)).toEqual(picture)
  }
})
