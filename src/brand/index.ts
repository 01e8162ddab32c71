import type { Config } from '../config/index.ts'
import { type Logo as LogoFile, readLogo } from '../images/files.ts'
import { addressOf, type BrandFile, fileOf, iconName, iconsOf, manifestOf } from './files.ts'
import { ownShades, type Scheme, type Shades, shadesOf, surfaces } from './shades.ts'
import { styleSheetOf } from './style-sheet.ts'

/** A logo, with the size that it is shown in. Pages use its path, mails its URL. */
export type Logo = { path: string; url: string; width: number; height: number }

/** The name, the looks and the links of whoever runs this server. Pages and mails show them. */
export type Brand = {
  name: string
  /** The logo. Mails have their own, because mail programs display no SVG. */
  logo: { light: Logo; dark: Logo | undefined; mail: Logo | undefined } | undefined
  accent: Record<Scheme, Shades>
  /** The colour behind everything, for the frame that a browser draws around a page. */
  pageColours: Record<Scheme, string>
  /** The links at the foot of pages and mails, in their order. */
  links: readonly BrandLink[]
  supportEmail: string | undefined
  /** Whether the icon is a picture of the operator. Otherwise it is the mark, which pages draw themselves. */
  hasIcon: boolean
  /** The paths of files that pages refer to, each with its version. */
  paths: { styleSheet: string | undefined; icon: { path: string; type: string } }
  /** Every file that is made from the brand, by its name. */
  files: Readonly<Record<string, BrandFile>>
}

/** A link at the foot: to a page somewhere else, or to the address of the support. */
export type BrandLink = { name: 'help' | 'support' | 'privacy' | 'terms' | 'imprint'; href: string; isPage: boolean }

/** Returns the brand as it is now. It can change while the server runs, so nobody keeps what this returns. */
export type CurrentBrand = () => Brand

/** The settings that make the brand. */
export type BrandSettings = Pick<Config, 'ISSUER' | 'BRAND_NAME'> & {
  [Name in Exclude<Extract<keyof Config, `BRAND_${string}`>, 'BRAND_NAME'>]?: Config[Name]
}

const logoBox = { width: 200, height: 36 } // pixels; the header has room for them on a phone too

/** Reads the files of the brand and makes the others. */
export function createBrand(settings: BrandSettings): CurrentBrand {
  const brand = brandOf(settings)
  return () => brand
}

function brandOf(settings: BrandSettings): Brand {
  const { ISSUER, BRAND_NAME: name, BRAND_ACCENT: accent, BRAND_ICON } = settings
  const shades = accent ? { light: shadesOf(accent, 'light'), dark: shadesOf(accent, 'dark') } : ownShades
  const icons = iconsOf(BRAND_ICON, shades.light)
  const light = logoAt(settings.BRAND_LOGO, 'logo')
  const dark = logoAt(settings.BRAND_LOGO_DARK, 'logo-dark')
  const files: Record<string, BrandFile> = {
    ...icons.files,
    'site.webmanifest': manifestOf({ name, icons, isMaskable: BRAND_ICON === undefined }),
    ...(accent && { 'brand.css': fileOf('text/css; charset=utf-8', styleSheetOf(accent)) }),
    ...light?.files,
    ...dark?.files,
  }
  const shown = (logo: LogoAt): Logo => {
    const path = addressOf(logo.name, files)
    return { path, url: `${ISSUER}${path}`, ...fitted(logo.file) }
  }
  const icon = BRAND_ICON === undefined ? 'favicon.svg' : iconName(icons.sizes[0] ?? 0)
  return {
    name,
    logo: light && {
      light: shown(light),
      dark: dark && shown(dark),
      mail: light.file.type === 'image/svg+xml' ? undefined : shown(light),
    },
    accent: shades,
    pageColours: { light: surfaces.light.page, dark: surfaces.dark.page },
    links: linksOf(settings),
    supportEmail: settings.BRAND_SUPPORT_EMAIL,
    hasIcon: BRAND_ICON !== undefined,
    paths: {
      styleSheet: accent && addressOf('brand.css', files),
      icon: { path: addressOf(icon, files), type: icon.endsWith('.svg') ? 'image/svg+xml' : 'image/png' },
    },
    files,
  }
}

function linksOf(settings: BrandSettings): BrandLink[] {
  const { BRAND_SUPPORT_EMAIL: email } = settings
  const hrefs: Record<BrandLink['name'], string | undefined> = {
    help: settings.BRAND_HELP_URL,
    support: email && `mailto:${encodeURI(email)}`,
    privacy: settings.BRAND_PRIVACY_URL,
    terms: settings.BRAND_TERMS_URL,
    imprint: settings.BRAND_IMPRINT_URL,
  }
  return (Object.entries(hrefs) as [BrandLink['name'], string | undefined][]).flatMap(([name, href]) =>
    href === undefined ? [] : [{ name, href, isPage: name !== 'support' }],
  )
}

type LogoAt = { name: string; file: LogoFile; files: Record<string, BrandFile> }

function logoAt(path: string | undefined, stem: string): LogoAt | undefined {
  if (path === undefined) return undefined
  const file = readLogo(path)
  if ('problem' in file) throw new Error(`the logo ${path} ${file.problem}`)
  const name = `${stem}.${/\w+/.exec(file.type.slice('image/'.length))?.[0]}`
  return { name, file, files: { [name]: fileOf(file.type, file.bytes) } }
}

/** Returns the size of a logo in the header: as large as its room, and no larger than a raster image is. */
function fitted({ type, width, height }: LogoFile): { width: number; height: number } {
  const most = type === 'image/svg+xml' ? Number.POSITIVE_INFINITY : 1
  const factor = Math.min(logoBox.width / width, logoBox.height / height, most)
  return { width: Math.round(width * factor), height: Math.round(height * factor) }
}
