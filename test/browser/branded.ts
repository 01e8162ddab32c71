import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { png } from '../support/images.ts'

const logo = (ink: string) =>
  `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 150 36"><circle cx="18" cy="18" r="16" fill="#f5a300"/><path d="M9 25l9-16 9 16z" fill="#fff"/><text x="44" y="26" font-family="DejaVu Sans, Arial, sans-serif" font-weight="700" font-size="22" fill="${ink}">Harbour</text></svg>`

/** Writes the pictures of a brand into a folder, and returns the settings with everything that a brand may have. */
export async function brandSettings(folder: string): Promise<Record<string, string>> {
  const [light, dark, icon] = ['logo.svg', 'logo-dark.svg', 'icon.png'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ]
  await Promise.all([
    writeFile(light, logo('#102a43')),
    writeFile(dark, logo('#f0f4f8')),
    writeFile(icon, png(192, 192, [245, 163, 0])),
  ])
  return {
    BRAND_NAME: 'Harbour',
    BRAND_LOGO: light,
    BRAND_LOGO_DARK: dark,
    BRAND_ICON: icon,
    BRAND_ACCENT: '#f5a300',
    BRAND_HELP_URL: 'https://harbour.example/help',
    BRAND_SUPPORT_EMAIL: 'help@harbour.example',
    BRAND_PRIVACY_URL: 'https://harbour.example/privacy',
    BRAND_TERMS_URL: 'https://harbour.example/terms',
    BRAND_IMPRINT_URL: 'https://harbour.example/imprint',
  }
}
