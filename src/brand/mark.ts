import { draw, type Picture } from '../images/pictures.ts'
import { bytesOf, type Hex } from './colours.ts'

// The mark in a square of 24: a wall with a round top, and a door in it. Both end at the same base.
const size = 24
const base = 22
const wall = { left: 3, top: 11, radius: 9 }
const door = { left: 8, top: 11.5, radius: 4 }

/** The colours of the mark: `undefined` lets shine through what is behind it. */
export type MarkColours = { wall: Hex; door: Hex; ground: Hex | undefined }

/** Draws the mark, at its full size or as a part of the square. */
export function drawMark(pixels: number, { wall: ofWall, door: ofDoor, ground }: MarkColours, part = 1): Picture {
  const [wallColour, doorColour] = [
    [...bytesOf(ofWall), 255],
    [...bytesOf(ofDoor), 255],
  ]
  const behind = ground ? [...bytesOf(ground), 255] : [0, 0, 0, 0]
  const place = (at: number) => (at / pixels - 0.5) * (size / part) + size / 2
  return draw(pixels, (x, y) => {
    const point = [place(x), place(y)] as const
    if (isInside(door, point)) return doorColour
    return isInside(wall, point) ? wallColour : behind
  })
}

/** Writes the mark as an SVG. */
export function markAsSvg({ wall: ofWall, door: ofDoor }: MarkColours): string {
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${size} ${size}"><path fill="${ofWall}" d="${pathOf(wall)}"/><path fill="${ofDoor}" d="${pathOf(door)}"/></svg>\n`
}

type Arch = { left: number; top: number; radius: number }

function isInside({ left, top, radius }: Arch, [x, y]: readonly [number, number]): boolean {
  if (x < left || x > left + 2 * radius || y > base) return false
  return y >= top || Math.hypot(x - left - radius, y - top) <= radius
}

/** Returns the outline of an arch, as paths of an SVG have it. */
export function pathOf({ left, top, radius }: Arch): string {
  return `M${left} ${base}V${top}a${radius} ${radius} 0 0 1 ${2 * radius} 0V${base}z`
}
