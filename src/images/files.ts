import { readFileSync, statSync } from 'node:fs'
import { type Image, readImage } from './formats.ts'
import type { Picture } from './pictures.ts'
import { decode } from './png.ts'
import { readSvg } from './svg.ts'

/** A picture for pages, as its file has it. */
export type Logo = { type: Image['type'] | 'image/svg+xml'; width: number; height: number; bytes: Buffer }

/** The reason that a file cannot be used, in words that follow the name of its setting. */
export type Problem = { problem: string }

const mostKilobytes = 256 // every page loads the logo, and a small one is seen sooner
const logoSides = { least: 16, most: 4096 }
const iconSides = { least: 180, most: 1024 } // a home screen shows 180 pixels

/** Reads the file of a logo, or says what is wrong with it. */
export function readLogo(path: string): Logo | Problem {
  const bytes = readSmall(path)
  if ('problem' in bytes) return bytes
  const image = readImage(bytes) ?? readSvg(bytes)
  if (!image) {
    return {
      problem:
        'must be a PNG, WebP, JPEG, GIF or SVG file; an SVG needs its xmlns, and a viewBox or its size in pixels',
    }
  }
  const { width, height } = image
  if (
    image.type !== 'image/svg+xml' &&
    [width, height].some((side) => side < logoSides.least || side > logoSides.most)
  ) {
    return {
      problem: `must have ${logoSides.least} to ${logoSides.most} pixels on each side: it has ${width} × ${height}`,
    }
  }
  return { ...image, bytes }
}

/** Reads the file of an icon, or says what is wrong with it. */
export function readIcon(path: string): { bytes: Buffer; picture: Picture } | Problem {
  const bytes = readSmall(path)
  if ('problem' in bytes) return bytes
  const image = readImage(bytes)
  if (image?.type !== 'image/png') return { problem: 'must be a PNG file' }
  const { width, height } = image
  if (width !== height) return { problem: `must be square: it has ${width} × ${height} pixels` }
  if (width < iconSides.least || width > iconSides.most) {
    return { problem: `must have ${iconSides.least} to ${iconSides.most} pixels on each side: it has ${width}` }
  }
  const picture = decode(bytes, { mostPixels: iconSides.most ** 2 })
  if (!picture) {
    return {
      problem:
        'must be a PNG file with 8 bits a sample and no interlacing, and undamaged: save it again with these options',
    }
  }
  return { bytes, picture }
}

function readSmall(path: string): Buffer | Problem {
  try {
    const { size, hasEnd } = kindOf(path)
    if (!hasEnd) return { problem: 'must be the path of a file that the server can read: it is something else' }
    const kilobytes = Math.ceil(size / 1024)
    if (kilobytes <= mostKilobytes) return readFileSync(path)
    return { problem: `must be at most ${mostKilobytes} kilobytes: the file has ${kilobytes}` }
  } catch (error) {
    return { problem: `must be the path of a file that the server can read: ${(error as Error).message}` }
  }
}

// Before the file is read: a pipe or a device may have no end. Reading a folder fails at once, and says why.
function kindOf(path: string): { size: number; hasEnd: boolean } {
  const found = statSync(path)
  return { size: found.size, hasEnd: found.isFile() || found.isDirectory() }
}
