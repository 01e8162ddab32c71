import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { contrast, type Hex, leastContrast } from '../../src/brand/colours.ts'
import { ownShades, type Scheme, shadesOf, strongShadesOf, surfaces } from '../../src/brand/shades.ts'
import { tokenOf } from '../../src/brand/style-sheet.ts'
import { assets } from '../../src/views/assets.ts'

const schemes = ['light', 'dark'] as const
const digits = '0369cf'
/** Colours from all over the cube of what screens show, its corners among them. */
const accents: Hex[] = [...digits].flatMap((red) =>
  [...digits].flatMap((green) => [...digits].map((blue): Hex => `#${red}${red}${green}${green}${blue}${blue}`)),
)

describe('the contrast of two colours', () => {
  test('is what WCAG 2.2 computes', () => {
    expect(contrast('#000000', '#ffffff')).toBe(21)
    expect(contrast('#777777', '#ffffff')).toBeCloseTo(4.48, 2)
    expect(contrast('#ffffff', '#767676')).toBeCloseTo(4.54, 2)
    expect(contrast('#ff0000', '#ffffff')).toBeCloseTo(4, 2)
    expect(contrast('#1b5e4b', '#1b5e4b')).toBe(1)
  })
})

describe('the shades of any accent', () => {
  const failing = (scheme: Scheme, derive: typeof shadesOf, least: number) =>
    accents.flatMap((given) => {
      const shades = derive(given, scheme)
      const grounds = Object.values(surfaces[scheme])
      const ratios = {
        accent: leastContrast(shades.accent, grounds),
        accentStrong: leastContrast(shades.accentStrong, grounds),
        onAccent: leastContrast(shades.onAccent, [shades.accent, shades.accentStrong]),
        onFill: leastContrast(shades.onFill, [shades.fill, shades.fillStrong]),
      }
      const edge = contrast(shades.fillEdge, surfaces[scheme].paper) >= 3 ? [] : [`${given}: the edge`]
      return [
        ...edge,
        ...Object.entries(ratios).flatMap(([name, ratio]) => (ratio < least ? [`${given}: ${name}`] : [])),
      ]
    })

  test.each(schemes)('reach 4.5 to 1 for text, and 3 to 1 for the edge of a button, in %s colours', (scheme) => {
    expect(accents).toHaveLength(216)
    expect(failing(scheme, shadesOf, 4.5)).toEqual([])
  })

  test.each(schemes)('reach 7 to 1 for a person who asks for more contrast, in %s colours', (scheme) => {
    expect(failing(scheme, strongShadesOf, 7)).toEqual([])
  })

  test('leave a colour that works as it is', () => {
    expect(shadesOf('#1b5e4b', 'light')).toMatchObject({ accent: '#1b5e4b', fill: '#1b5e4b', onFill: '#ffffff' })
    expect(shadesOf('#84d3b7', 'dark')).toMatchObject({ accent: '#84d3b7', fill: '#84d3b7', onFill: '#17211d' })
  })

  test('leave a bright button as it is on light paper, with dark text and an edge', () => {
    const { fill, onFill, fillEdge, accent } = shadesOf('#ffff00', 'light')
    expect([fill, onFill, fillEdge]).toEqual(['#ffff00', '#17211d', accent])
  })

  test('tell a button from the paper, whatever the colour', () => {
    for (const scheme of schemes) {
      for (const given of ['#ffffff', '#fffdfa', '#000000', '#161d1a'] as const) {
        const { fill, fillEdge } = shadesOf(given, scheme)
        const { paper } = surfaces[scheme]
        expect(contrast(fill, paper), `${given} in ${scheme}`).toBeGreaterThanOrEqual(3)
        expect(fillEdge).toBe(fill)
      }
    }
  })

  test('keep the hue: a dark blue is a lighter blue on dark paper', () => {
    const value = Number.parseInt(shadesOf('#00008b', 'dark').accent.slice(1), 16)
    const [red, green, blue] = [value >> 16, (value >> 8) & 255, value & 255]
    expect(blue).toBeGreaterThan(Math.max(red, green))
  })
})

describe('templates/assets/postern.css', () => {
  const css = readFileSync(join(assets, 'postern.css'), 'utf8')
  const blocks = {
    light: /^:root \{([^}]*)\}/m.exec(css)?.[1],
    dark: /@media \(prefers-color-scheme: dark\) \{\s*:root \{([^}]*)\}/.exec(css)?.[1],
  }

  test.each(schemes)('has the surfaces and the shades that src/brand/ computes with, in %s colours', (scheme) => {
    const tokens = Object.fromEntries(
      [...(blocks[scheme] ?? '').matchAll(/(--[\w-]+): (#[0-9a-f]{6});/g)].map(([, name, value]) => [name, value]),
    )
    for (const [name, hex] of Object.entries({ ...surfaces[scheme], ...ownShades[scheme] })) {
      expect([name, tokens[tokenOf(name)]]).toEqual([name, hex])
    }
  })

  test('has shades with the contrast that those of an operator have', () => {
    for (const scheme of schemes) {
      const { accent, accentStrong, onAccent, fill, fillStrong, onFill } = ownShades[scheme]
      const grounds = Object.values(surfaces[scheme])
      expect(Math.min(leastContrast(accent, grounds), leastContrast(accentStrong, grounds))).toBeGreaterThan(4.5)
      expect(leastContrast(onAccent, [accent, accentStrong])).toBeGreaterThan(4.5)
      expect(leastContrast(onFill, [fill, fillStrong])).toBeGreaterThan(4.5)
    }
  })
})
