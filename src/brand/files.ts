import { createHash } from 'node:crypto'
import { readIcon } from '../images/files.ts'
import { pack } from '../images/ico.ts'
import { flatten, type Picture, scale } from '../images/pictures.ts'
import { encode } from '../images/png.ts'
import { bytesOf } from './colours.ts'
import { drawMark, type MarkColours, markAsSvg } from './mark.ts'
import { type Shades, surfaces } from './shades.ts'

/** A file that the server makes from the brand. Its address has the version, which changes with the content. */
export type BrandFile = { type: string; version: string; bytes(): Buffer }

const sizes = { tabs: [16, 32, 48], homeScreen: 180, manifest: [192, 512] } as const

/** The icons of a brand, and the sizes that the manifest and pages may name. */
export type Icons = { files: Record<string, BrandFile>; sizes: readonly number[] }

/** Returns a file with its version. */
export function fileOf(type: string, content: Buffer | string): BrandFile {
  const bytes = Buffer.from(content)
  return { type, bytes: () => bytes, version: versionOf(bytes) }
}

/** Returns an icon that is drawn when somebody asks for it. The version changes with everything that it is drawn from. */
function drawn(type: string, source: Buffer | string, draw: () => Buffer): BrandFile {
  let bytes: Buffer | undefined
  return { type, version: versionOf(source), bytes: () => (bytes ??= draw()) }
}

function versionOf(content: Buffer | string): string {
  return createHash('sha256').update(content).digest('hex').slice(0, 12)
}

/** Makes the icons for tabs, bookmarks and home screens, from the file of the operator or from the mark. */
export function iconsOf(path: string | undefined, { fill, onFill }: Shades): Icons {
  const own = path === undefined ? undefined : readIcon(path)
  if (own && 'problem' in own) throw new Error(`the icon ${path} ${own.problem}`)
  const onTab: MarkColours = { wall: fill, door: onFill, ground: undefined }
  const onTile: MarkColours = { wall: onFill, door: fill, ground: fill }
  // A home screen cuts the corners off, and some cut a circle: the mark stays within it.
  const ofTab = (size: number): Picture => (own ? scale(own.picture, size) : drawMark(size, onTab))
  const ofTile = (size: number): Picture => (own ? scale(own.picture, size) : drawMark(size, onTile, 0.62))
  const source = own?.bytes ?? JSON.stringify([onTab, onTile])
  const png = (draw: () => Picture) => drawn('image/png', source, () => encode(draw()))
  const width = own?.picture.width ?? Number.POSITIVE_INFINITY
  const fitting = sizes.manifest.filter((size) => size <= width) // a picture that is scaled up is blurred
  const named = fitting.length > 0 ? fitting : [width]
  const files = {
    'favicon.ico': drawn('image/vnd.microsoft.icon', source, () =>
      pack(sizes.tabs.map((size) => ({ size, png: encode(ofTab(size)) }))),
    ),
    ...(own ? {} : { 'favicon.svg': fileOf('image/svg+xml', markAsSvg(onTab)) }),
    // iOS paints transparent parts black.
    'apple-touch-icon.png': png(() => flatten(ofTile(sizes.homeScreen), bytesOf(surfaces.light.paper))),
    ...Object.fromEntries(named.map((size) => [iconName(size), png(() => ofTile(size))])),
  }
  return { files, sizes: named }
}

/** Returns the name of the icon in a size. */
export function iconName(size: number): string {
  return `icon-${size}.png`
}

/** Makes the manifest, which names the icons for programs that keep a page like an app. */
export function manifestOf({
  name,
  icons,
  isMaskable,
}: {
  name: string
  icons: Icons
  isMaskable: boolean
}): BrandFile {
  const manifest = {
    name,
    short_name: name,
    start_url: '/',
    display: 'browser',
    background_color: surfaces.light.page,
    theme_color: surfaces.light.page,
    icons: icons.sizes.map((size) => ({
      src: addressOf(iconName(size), icons.files),
      sizes: `${size}x${size}`,
      type: 'image/png',
      purpose: isMaskable ? 'any maskable' : 'any',
    })),
  }
  return fileOf('application/manifest+json', `${JSON.stringify(manifest, null, 2)}\n`)
}

/** Returns the path of a file, with its version. */
export function addressOf(name: string, files: Record<string, BrandFile>): string {
  return `/assets/${name}?v=${files[name]?.version}`
}
