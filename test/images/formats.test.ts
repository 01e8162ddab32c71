import { describe, expect, test } from 'vitest'
import { readImage } from '../../src/images/formats.ts'
import { gif, jpeg, png, webp } from '../support/images.ts'

const images = {
  'image/png': png(32, 16),
  'image/gif': gif,
  'image/jpeg': jpeg,
  'image/webp': webp.lossy,
  'image/webp, lossless': webp.lossless,
  'image/webp, extended': webp.extended,
}

describe.each(Object.entries(images))('%s', (name, bytes) => {
  test('is recognized by its bytes, with its size', () => {
    expect(readImage(bytes)).toEqual({ type: name.split(',')[0], width: 32, height: 16 })
  })

  test('never passes for another type when it is cut off or a byte is changed', () => {
    for (let length = 0; length < bytes.length; length++) {
      const image = readImage(bytes.subarray(0, length))
      expect([undefined, name.split(',')[0]]).toContain(image?.type)
    }
    for (let at = 0; at < Math.min(bytes.length, 40); at++) {
      const other = Buffer.from(bytes)
      other[at] = (other[at] ?? 0) ^ 0xff
      expect(() => readImage(other)).not.toThrow()
    }
  })
})

test.each([
  ['an empty file', ''],
  ['a page', '<!doctype html><script>alert(1)</script>'],
  ['an SVG', '<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>'],
  ['an SVG with a declaration', '<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>'],
  ['a bitmap', 'BM\x46\x00\x00\x00\x00\x00\x00\x00'],
  ['a page behind a space', ' \x89PNG\r\n\x1a\n'],
  ['an image without width', 'GIF89a\x00\x00\x10\x00\x80\x00\x00'],
  ['a JPEG of endless segments', '\xff\xd8\xff\xe0\x00\x00\xff\xe0\x00\x00'],
])('%s is not an image', (_what, text) => {
  expect(readImage(Buffer.from(text, 'latin1'))).toBeUndefined()
})
