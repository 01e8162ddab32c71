/** A picture in memory: four bytes a pixel for red, green, blue and alpha, row by row. */
export type Picture = { width: number; height: number; pixels: Buffer }

type Colour = readonly number[] | Buffer

/** Draws a square picture: each pixel is the average of the colours at points inside it. */
export function draw(size: number, colourAt: (x: number, y: number) => Colour): Picture {
  const points = [0.125, 0.375, 0.625, 0.875]
  const ends = [0.125, 0.875]
  const at = (places: number[], x: number, y: number) =>
    places.flatMap((down) => places.map((right) => colourAt(x + right, y + down)))
  return paint(size, (x, y) => {
    const corners = at(ends, x, y) // nearly every pixel lies within one colour
    return corners.every((colour) => colour === corners[0]) ? corners.slice(0, 1) : at(points, x, y)
  })
}

/** Scales a square picture down. Each new pixel is the average of the pixels that it covers. */
export function scale({ width, pixels }: Picture, size: number): Picture {
  const covered = Array.from({ length: size }, (_, at) => {
    const first = Math.floor((at * width) / size)
    const last = Math.max(first + 1, Math.ceil(((at + 1) * width) / size))
    return Array.from({ length: last - first }, (_, index) => first + index)
  })
  const colourAt = (column: number, row: number) =>
    pixels.subarray((row * width + column) * 4, (row * width + column) * 4 + 4)
  return paint(size, (x, y) =>
    (covered[y] ?? []).flatMap((row) => (covered[x] ?? []).map((column) => colourAt(column, row))),
  )
}

/** Returns a picture without transparency, over one colour. */
export function flatten({ width, height, pixels }: Picture, background: readonly number[]): Picture {
  const opaque = Buffer.alloc(pixels.length, 255)
  for (let at = 0; at < pixels.length; at++) {
    if (at % 4 === 3) continue
    const alpha = (pixels[at - (at % 4) + 3] ?? 255) / 255
    opaque[at] = Math.round((pixels[at] ?? 0) * alpha + (background[at % 4] ?? 255) * (1 - alpha))
  }
  return { width, height, pixels: opaque }
}

function paint(size: number, coloursOf: (x: number, y: number) => Colour[]): Picture {
  const pixels = Buffer.alloc(size * size * 4)
  for (let y = 0; y < size; y++) {
    for (let x = 0; x < size; x++) pixels.set(average(coloursOf(x, y)), (y * size + x) * 4)
  }
  return { width: size, height: size, pixels }
}

/** Averages colours. A transparent one has no say in the colour, only in the transparency. */
function average(colours: Colour[]): number[] {
  const sum = [0, 0, 0, 0]
  for (const [red = 0, green = 0, blue = 0, alpha = 255] of colours) {
    for (const [at, value] of [red, green, blue].entries()) sum[at] = (sum[at] ?? 0) + value * alpha
    sum[3] = (sum[3] ?? 0) + alpha
  }
  const [red = 0, green = 0, blue = 0, alpha = 0] = sum
  if (alpha === 0) return [0, 0, 0, 0]
  return [red / alpha, green / alpha, blue / alpha, alpha / colours.length].map(Math.round)
}
