import { contrast, distance, type Hex, leastContrast, lightened, nearest } from './colours.ts'

export type Scheme = 'light' | 'dark'

/** The colours that text lies on, as templates/assets/postern.css has them. */
export const surfaces = {
  light: { page: '#eceeec', paper: '#ffffff', side: '#f7f8f6', wash: '#eff3f0' },
  dark: { page: '#0d1210', paper: '#161d1a', side: '#1a221f', wash: '#202a26' },
} as const satisfies Record<Scheme, Record<string, Hex>>

/** The accent as pages and mails use it in one scheme. */
export type Shades = {
  /** Links, icons and the ring around what has the focus. */
  accent: Hex
  accentStrong: Hex
  onAccent: Hex
  /** The main button. It is the colour as given, wherever that can be a button. */
  fill: Hex
  fillStrong: Hex
  onFill: Hex
  fillEdge: Hex
}

/** The shades of templates/assets/postern.css, which apply without an accent of the operator. */
export const ownShades: Record<Scheme, Shades> = {
  light: {
    accent: '#1b5e4b',
    accentStrong: '#134838',
    onAccent: '#ffffff',
    fill: '#1b5e4b',
    fillStrong: '#134838',
    onFill: '#ffffff',
    fillEdge: '#1b5e4b',
  },
  dark: {
    accent: '#84d3b7',
    accentStrong: '#a5e3cd',
    onAccent: '#06261c',
    fill: '#84d3b7',
    fillStrong: '#a5e3cd',
    onFill: '#06261c',
    fillEdge: '#84d3b7',
  },
}

const ofText = 4.5 // WCAG 2.2 §1.4.3, for text of any size
const ofControls = 3 // §1.4.11
const ofMoreContrast = 7 // §1.4.6, for people whose system asks for more contrast
const inks = { light: '#ffffff', dark: '#17211d', darkest: '#000000' } as const

/**
 * Derives the shades of a scheme from any colour. Each text has its contrast, whatever the colour: text and links become
 * darker or lighter until they do, and a button keeps the colour and gets a text that can be read on it.
 */
export function shadesOf(given: Hex, scheme: Scheme): Shades {
  const { paper } = surfaces[scheme]
  const accent = accentOf(given, scheme, ofText)
  const fill = fillOf(given, scheme, accent)
  const onFill = inkOn(fill)
  return {
    accent,
    accentStrong: lightened(accent, scheme === 'light' ? -0.08 : 0.06),
    onAccent: onAccentOf(scheme),
    fill,
    fillStrong: pressed(fill, scheme, onFill),
    onFill,
    fillEdge: contrast(fill, paper) >= ofControls ? fill : accent,
  }
}

/** Derives the shades for people whose system asks for more contrast: the button has the colour of the links. */
export function strongShadesOf(given: Hex, scheme: Scheme): Shades {
  const accent = accentOf(given, scheme, ofMoreContrast)
  const accentStrong = lightened(accent, scheme === 'light' ? -0.08 : 0.06)
  const onAccent = onAccentOf(scheme)
  return { accent, accentStrong, onAccent, fill: accent, fillStrong: accentStrong, onFill: onAccent, fillEdge: accent }
}

function accentOf(given: Hex, scheme: Scheme, ratio: number): Hex {
  const grounds = Object.values(surfaces[scheme])
  const direction = scheme === 'light' ? 'darker' : 'lighter'
  return nearest(given, direction, (hex) => leastContrast(hex, grounds) >= ratio)
}

// On light paper, a bright yellow stays yellow and gets a dark edge, because a darker yellow is another colour: olive. It
// only has to look different from the paper. On dark paper, a dark colour is lightened, which leaves it what it is.
function fillOf(given: Hex, scheme: Scheme, accent: Hex): Hex {
  const { paper } = surfaces[scheme]
  if (scheme === 'dark') return nearest(given, 'lighter', (hex) => contrast(hex, paper) >= ofControls)
  return distance(given, paper) >= 0.12 ? given : accent
}

/** Returns a colour for text on this one. Black or white can be read on any. */
function inkOn(ground: Hex): Hex {
  const { light, dark, darkest } = inks
  return [light, dark].find((ink) => contrast(ink, ground) >= ofText) ?? darkest
}

function onAccentOf(scheme: Scheme): Hex {
  return scheme === 'light' ? surfaces.light.paper : surfaces.dark.page
}

/** Returns the colour of a button below the pointer: another shade on which its text can still be read. */
function pressed(fill: Hex, scheme: Scheme, ink: Hex): Hex {
  const hasRoomAbove = contrast(fill, '#ffffff') > 1.3
  const changes = scheme === 'dark' && hasRoomAbove ? [0.07, -0.07] : [-0.07, 0.07]
  return changes.map((change) => lightened(fill, change)).find((hex) => contrast(hex, ink) >= ofText) ?? fill
}
