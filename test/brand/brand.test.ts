import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { createBrand } from '../../src/brand/index.ts'
import { decode } from '../../src/images/png.ts'
import { png } from '../support/images.ts'

const folder = mkdtempSync(join(tmpdir(), 'postern-brand-'))
afterAll(() => rmSync(folder, { recursive: true }))

function file(name: string, content: Buffer | string): string {
  const path = join(folder, name)
  writeFileSync(path, content)
  return path
}

const own = { ISSUER: 'https://id.example', BRAND_NAME: 'Acme' }
const drawing = '<svg xmlns="http://www.w3.org/2000/svg" width="90px" height="18"></svg>'
const pixel = (bytes: Buffer | undefined, x: number, y: number) => {
  const picture = bytes && decode(bytes, { mostPixels: 512 * 512 })
  const at = picture ? (y * picture.width + x) * 4 : 0
  return [...(picture?.pixels.subarray(at, at + 4) ?? [])]
}

describe('a brand', () => {
  test('without settings has the colours of the style sheet, no logo, no links, and no style sheet of its own', () => {
    const brand = createBrand(own)()
    expect(brand).toMatchObject({ name: 'Acme', logo: undefined, links: [], supportEmail: undefined })
    expect(brand.accent.light.accent).toBe('#1b5e4b')
    expect(brand.paths.styleSheet).toBeUndefined()
    expect(brand.files).not.toHaveProperty('brand.css')
  })

  test('has the links in one order, whichever of them are set', () => {
    const { links } = createBrand({
      ...own,
      BRAND_IMPRINT_URL: 'https://acme.example/imprint',
      BRAND_SUPPORT_EMAIL: "o'hara+help@acme.example",
      BRAND_HELP_URL: 'https://acme.example/help',
    })()
    expect(links).toEqual([
      { name: 'help', href: 'https://acme.example/help', isPage: true },
      { name: 'support', href: "mailto:o'hara+help@acme.example", isPage: false },
      { name: 'imprint', href: 'https://acme.example/imprint', isPage: true },
    ])
  })

  test('shows a logo as large as the header has room for, and a raster image no larger than it is', () => {
    const shown = (BRAND_LOGO: string) => createBrand({ ...own, BRAND_LOGO })().logo?.light
    expect(shown(file('wide.png', png(800, 72)))).toMatchObject({ width: 200, height: 18 })
    expect(shown(file('high.png', png(72, 72)))).toMatchObject({ width: 36, height: 36 })
    expect(shown(file('small.png', png(60, 20)))).toMatchObject({ width: 60, height: 20 })
    expect(shown(file('drawn.svg', drawing))).toMatchObject({ width: 180, height: 36 })
  })

  test('has a logo for mails at a whole URL, unless it is an SVG', () => {
    const logo = (BRAND_LOGO: string) => createBrand({ ...own, BRAND_LOGO })().logo
    const path = file('logo.png', png(60, 20))
    expect(logo(path)?.mail?.url).toMatch(/^https:\/\/id\.example\/assets\/logo\.png\?v=[0-9a-f]{12}$/)
    expect(logo(path)?.mail?.url).toBe(`https://id.example${logo(path)?.light.path}`)
    expect(logo(file('logo.svg', drawing))?.mail).toBeUndefined()
  })

  test('draws its icons in the accent, and gives them a new address with it', () => {
    const [plain, yellow] = [createBrand(own)(), createBrand({ ...own, BRAND_ACCENT: '#ffff00' })()]
    const touchIcon = (brand: typeof plain) => brand.files['apple-touch-icon.png']?.bytes()
    expect(pixel(touchIcon(plain), 2, 2)).toEqual([0x1b, 0x5e, 0x4b, 255])
    expect(pixel(touchIcon(yellow), 2, 2)).toEqual([255, 255, 0, 255])
    expect(pixel(touchIcon(yellow), 60, 90)).toEqual([0x17, 0x21, 0x1d, 255]) // the wall
    expect(pixel(touchIcon(yellow), 90, 120)).toEqual([255, 255, 0, 255]) // the door
    expect(yellow.paths.icon.path).not.toBe(plain.paths.icon.path)
    expect(String(yellow.files['favicon.svg']?.bytes())).toContain('fill="#ffff00"')
  })

  test('has icons no larger than the picture of the operator, and at least one', () => {
    const sizes = (BRAND_ICON?: string) => {
      const { files, paths } = createBrand({ ...own, ...(BRAND_ICON && { BRAND_ICON }) })()
      const manifest = JSON.parse(String(files['site.webmanifest']?.bytes()))
      return [paths.icon.path.split('?')[0], ...manifest.icons.map((icon: { sizes: string }) => icon.sizes)]
    }
    expect(sizes()).toEqual(['/assets/favicon.svg', '192x192', '512x512'])
    expect(sizes(file('640.png', png(640, 640)))).toEqual(['/assets/icon-192.png', '192x192', '512x512'])
    expect(sizes(file('200.png', png(200, 200)))).toEqual(['/assets/icon-192.png', '192x192'])
    expect(sizes(file('180.png', png(180, 180)))).toEqual(['/assets/icon-180.png', '180x180'])
  })

  test('fills the transparent parts of an icon for a home screen, which would otherwise be black', () => {
    const half = file('icon.png', png(192, 192, [255, 0, 0, 0]))
    expect(pixel(createBrand({ ...own, BRAND_ICON: half })().files['apple-touch-icon.png']?.bytes(), 9, 9)).toEqual([
      255, 255, 255, 255,
    ])
  })

  test('with an accent has a style sheet for both schemes, and for a person who asks for more contrast', () => {
    const css = String(createBrand({ ...own, BRAND_ACCENT: '#ffff00' })().files['brand.css']?.bytes())
    expect(css.match(/:root \{ --accent: #[0-9a-f]{6}; .*?--fill-edge: #[0-9a-f]{6}; \}/g)).toHaveLength(4)
    expect(css.match(/prefers-color-scheme: dark/g)).toHaveLength(2)
    expect(css.match(/prefers-contrast: more/g)).toHaveLength(2)
    expect(css).not.toMatch(/url|@import|</)
  })
})
