/** Red, green and blue, each from 0 to 1, as sRGB has them. */
type Rgb = readonly [number, number, number]
/** A colour as people compare them: its lightness from 0 to 1, its strength and its hue in radians (OKLCH). */
type Lch = { lightness: number; chroma: number; hue: number }

/** A colour as style sheets write it: `#` and six hexadecimal digits. */
export type Hex = `#${string}`

/** Returns the bytes of a colour. */
export function bytesOf(hex: Hex): [number, number, number] {
  const value = Number.parseInt(hex.slice(1), 16)
  return [value >> 16, (value >> 8) & 255, value & 255]
}

/** Returns how far two colours are apart in brightness, from 1 to 21 (WCAG 2.2, contrast ratio). */
export function contrast(one: Hex, other: Hex): number {
  const [darker = 0, lighter = 0] = [luminance(one), luminance(other)].sort((a, b) => a - b)
  return (lighter + 0.05) / (darker + 0.05)
}

/** Returns the smallest contrast of a colour with any of the others. */
export function leastContrast(hex: Hex, others: readonly Hex[]): number {
  return Math.min(...others.map((other) => contrast(hex, other)))
}

/** Returns how different two colours look: 0 for the same, about 1 for black and white. */
export function distance(one: Hex, other: Hex): number {
  const [a, b] = [toOklab(one), toOklab(other)]
  return Math.hypot(...a.map((value, at) => value - (b[at] ?? 0)))
}

/** Returns the colour with its lightness changed. Hue and strength stay, as far as screens can show them. */
export function lightened(hex: Hex, change: number): Hex {
  const colour = toLch(hex)
  return toHex({ ...colour, lightness: Math.min(1, Math.max(0, colour.lightness + change)) })
}

/** Returns the nearest lighter or darker colour that passes, and the colour itself if it does. */
export function nearest(hex: Hex, direction: 'lighter' | 'darker', passes: (hex: Hex) => boolean): Hex {
  const step = direction === 'lighter' ? 0.005 : -0.005
  for (let change = 0; Math.abs(change) <= 1; change += step) {
    const candidate = change === 0 ? hex : lightened(hex, change)
    if (passes(candidate)) return candidate
  }
  return direction === 'lighter' ? '#ffffff' : '#000000'
}

function luminance(hex: Hex): number {
  const [red, green, blue] = linear(hex)
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue
}

function linear(hex: Hex): Rgb {
  return bytesOf(hex).map((byte) => {
    const value = byte / 255
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4
  }) as unknown as Rgb
}

// The matrices of OKLab (Björn Ottosson, CSS Color 4 §9.2), which keeps a hue the same while its lightness changes.
function toOklab(hex: Hex): Rgb {
  const [red, green, blue] = linear(hex)
  const l = Math.cbrt(0.4122214708 * red + 0.5363325363 * green + 0.0514459929 * blue)
  const m = Math.cbrt(0.2119034982 * red + 0.6806995451 * green + 0.1073969566 * blue)
  const s = Math.cbrt(0.0883024619 * red + 0.2817188376 * green + 0.6299787005 * blue)
  return [
    0.2104542553 * l + 0.793617785 * m - 0.0040720468 * s,
    1.9779984951 * l - 2.428592205 * m + 0.4505937099 * s,
    0.0259040371 * l + 0.7827717662 * m - 0.808675766 * s,
  ]
}

function toLch(hex: Hex): Lch {
  const [lightness, a, b] = toOklab(hex)
  return { lightness, chroma: Math.hypot(a, b), hue: Math.atan2(b, a) }
}

function toLinear({ lightness, chroma, hue }: Lch): Rgb {
  const [a, b] = [chroma * Math.cos(hue), chroma * Math.sin(hue)]
  const l = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
  const m = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
  const s = (lightness - 0.0894841775 * a - 1.291485548 * b) ** 3
  return [
    4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
    -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
    -0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s,
  ]
}

/** Writes a colour. One that no screen shows loses strength until one does, and keeps its lightness and hue. */
function toHex(colour: Lch): Hex {
  let chroma = colour.chroma
  if (!isShown(toLinear(colour))) {
    let most = chroma
    chroma = 0
    for (let step = 0; step < 16; step++) {
      const middle = (chroma + most) / 2
      if (isShown(toLinear({ ...colour, chroma: middle }))) chroma = middle
      else most = middle
    }
  }
  const bytes = toLinear({ ...colour, chroma }).map((value) => {
    const bounded = Math.min(1, Math.max(0, value))
    return Math.round(255 * (bounded <= 0.0031308 ? bounded * 12.92 : 1.055 * bounded ** (1 / 2.4) - 0.055))
  })
  return `#${Buffer.from(bytes).toString('hex')}`
}

function isShown(rgb: Rgb): boolean {
  return rgb.every((value) => value >= -0.0005 && value <= 1.0005)
}
