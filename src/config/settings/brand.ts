import { z } from 'zod'
import { type Problem, readIcon, readLogo } from '../../images/files.ts'
import type { Given, Mistake } from './mistake.ts'

/** The name, the looks and the links of whoever runs this server, for its pages and mails. */
export const brandSettings = {
  BRAND_NAME: z
    .string()
    .trim()
    .normalize()
    .min(1, 'must be a name with at least one letter')
    .max(60, 'must be at most 60 characters long')
    // Format characters turn the direction of the text around them or hide in it; the name is also in headers of mails.
    .regex(/^[^\p{Cc}\p{Cf}\p{Zl}\p{Zp}]*$/u, 'must be one line without invisible characters')
    .regex(/^[^{}*]*$/, 'must have no braces and no asterisks, which stand for other things in the texts of pages')
    .default('Postern')
    .describe('Name of this service, in the title and the header of each page and in mails.'),
  BRAND_LOGO: fileThat(readLogo).describe(
    'Path of a logo that each page shows in place of the name, up to 36 pixels high and 200 wide: SVG, PNG, WebP, JPEG or GIF, up to 256 kilobytes. Mails show it unless it is an SVG, which mail programs do not display.',
  ),
  BRAND_LOGO_DARK: fileThat(readLogo).describe(
    'Path of the logo for dark pages. Without it, dark pages show BRAND_LOGO on a light plate.',
  ),
  BRAND_ICON: fileThat(readIcon).describe(
    'Path of a square PNG of 180 to 1024 pixels, for tabs, bookmarks and home screens. Default: an arch in the colour of BRAND_ACCENT.',
  ),
  BRAND_ACCENT: z
    .string()
    .regex(/^#([0-9a-f]{3}|[0-9a-f]{6})$/i, 'must be a colour of three or six hexadecimal digits, such as #1b5e4b')
    .transform(sixDigits)
    .optional()
    .describe(
      'Colour of the main buttons, links and marks, such as `#1b5e4b`. Any colour works: buttons keep it and get a text that can be read on it, and for links, and on dark pages, Postern takes the nearest shade with a contrast of 4.5 to 1.',
    ),
  BRAND_PRIVACY_URL: page('privacy').describe('Your privacy policy, linked at the foot of each page and mail.'),
  BRAND_TERMS_URL: page('terms').describe('Your terms of service, linked likewise.'),
  BRAND_IMPRINT_URL: page('imprint').describe('The page that says who you are, linked likewise.'),
  BRAND_HELP_URL: page('help').describe('Your help pages, linked likewise.'),
  BRAND_SUPPORT_EMAIL: z
    .email('must be an e-mail address, such as help@example.com')
    .optional()
    .describe('Address that people may write to for help, shown at the foot of each page and mail.'),
}

/** Finds mistakes in the settings of the brand taken together. */
export function* brandMistakes({
  BRAND_LOGO,
  BRAND_LOGO_DARK,
}: Given<typeof brandSettings>): Generator<Mistake<typeof brandSettings>> {
  if (BRAND_LOGO_DARK && !BRAND_LOGO) {
    yield { name: 'BRAND_LOGO', message: 'is required when BRAND_LOGO_DARK is set' }
  }
}

function fileThat(read: (path: string) => object | Problem) {
  return z
    .string()
    .superRefine((path, context) => {
      const result = read(path)
      if ('problem' in result) context.addIssue({ code: 'custom', message: String(result.problem) })
    })
    .optional()
}

function page(name: string) {
  return z
    .string()
    .superRefine((text, context) => {
      const url = URL.parse(text)
      const isPage = url && /^https?:$/.test(url.protocol) && url.username === '' && url.password === ''
      if (!isPage)
        context.addIssue({ code: 'custom', message: `must be an http(s) URL, such as https://example.com/${name}` })
    })
    .transform((text) => URL.parse(text)?.href ?? text)
    .optional()
}

function sixDigits(colour: string): `#${string}` {
  const digits = colour.slice(1).toLowerCase()
  return `#${digits.length === 3 ? digits.replace(/./g, '$&$&') : digits}`
}
