import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import { afterAll, describe, expect, test } from 'vitest'
import { describe as listed, parse } from '../../src/config/index.ts'
import { png } from '../support/images.ts'

const folder = mkdtempSync(join(tmpdir(), 'postern-brand-'))
afterAll(() => rmSync(folder, { recursive: true }))

function file(name: string, content: Buffer | string): string {
  const path = join(folder, name)
  writeFileSync(path, content)
  return path
}

function mistakesOf(env: Record<string, string>): string {
  try {
    parse(env)
    return 'none'
  } catch (error) {
    return (error as Error).message
  }
}

const svg = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 120 36"><rect width="120" height="36"/></svg>'
const interlaced = png(192, 192)
interlaced[28] = 1
interlaced.writeUInt32BE(crc32(interlaced.subarray(12, 29)), 29)
const files = {
  svg: file('logo.svg', `<?xml version="1.0"?>\n<!-- ours -->\n${svg}`),
  png: file('logo.png', png(120, 36)),
  icon: file('icon.png', png(192, 192)),
  text: file('logo.txt', 'a logo'),
  withoutNamespace: file('bare.svg', svg.replace(/ xmlns="[^"]*"/, '')),
  withoutSize: file('sizeless.svg', svg.replace(/ viewBox="[^"]*"/, '')),
  large: file('large.png', Buffer.concat([png(64, 64), Buffer.alloc(300 * 1024)])),
  tiny: file('tiny.png', png(8, 8)),
  oblong: file('oblong.png', png(256, 192)),
  small: file('small.png', png(64, 64)),
  interlaced: file('interlaced.png', interlaced),
  damaged: file('damaged.png', png(192, 192).subarray(0, 60)),
}

describe('a setting of the brand', () => {
  test('reads nothing but a file, and none that is large', () => {
    expect(mistakesOf({ BRAND_LOGO: '/dev/zero' })).toContain(
      'must be the path of a file that the server can read: it is something else',
    )
    const sparse = file('sparse.png', png(64, 64))
    truncateSync(sparse, 40 * 2 ** 30)
    expect(mistakesOf({ BRAND_ICON: sparse })).toContain('must be at most 256 kilobytes: the file has 41943040')
  })

  test('is read in every form that it may have', () => {
    expect(
      parse({
        BRAND_NAME: '  Acme Zoë  ',
        BRAND_LOGO: files.svg,
        BRAND_LOGO_DARK: files.png,
        BRAND_ACCENT: '#F0a',
        BRAND_PRIVACY_URL: 'https://acme.example/privacy',
        BRAND_SUPPORT_EMAIL: 'help@acme.example',
      }),
    ).toMatchObject({
      BRAND_NAME: 'Acme Zoë',
      BRAND_LOGO: files.svg,
      BRAND_ACCENT: '#ff00aa',
      BRAND_PRIVACY_URL: 'https://acme.example/privacy',
    })
    expect(parse({ BRAND_ACCENT: '#1B5E4B' }).BRAND_ACCENT).toBe('#1b5e4b')
    expect(listed(parse({ BRAND_LOGO: files.png }))).toContain(`BRAND_LOGO=${files.png}\n`)
    expect(parse({}).BRAND_NAME).toBe('Postern')
  })

  test.each([
    ['BRAND_NAME', ' ', 'must be a name with at least one letter'],
    ['BRAND_NAME', 'A'.repeat(61), 'must be at most 60 characters long'],
    ['BRAND_NAME', 'Acme\r\nBcc: all@example.com', 'must be one line without invisible characters'],
    ['BRAND_NAME', 'Acme\u202egnp', 'must be one line without invisible characters'],
    ['BRAND_NAME', 'Acme {app}', 'must have no braces and no asterisks'],
    ['BRAND_LOGO', join(folder, 'none.png'), 'must be the path of a file that the server can read: ENOENT'],
    ['BRAND_LOGO', folder, 'must be the path of a file that the server can read: EISDIR'],
    ['BRAND_LOGO', files.text, 'must be a PNG, WebP, JPEG, GIF or SVG file'],
    ['BRAND_LOGO', files.withoutNamespace, 'must be a PNG, WebP, JPEG, GIF or SVG file; an SVG needs its xmlns'],
    ['BRAND_LOGO', files.withoutSize, 'must be a PNG, WebP, JPEG, GIF or SVG file; an SVG needs its xmlns'],
    ['BRAND_LOGO', files.large, 'must be at most 256 kilobytes: the file has 30'],
    ['BRAND_LOGO', files.tiny, 'must have 16 to 4096 pixels on each side: it has 8 × 8'],
    ['BRAND_ICON', files.svg, 'must be a PNG file'],
    ['BRAND_ICON', files.oblong, 'must be square: it has 256 × 192 pixels'],
    ['BRAND_ICON', files.small, 'must have 180 to 1024 pixels on each side: it has 64'],
    ['BRAND_ICON', files.interlaced, 'must be a PNG file with 8 bits a sample and no interlacing'],
    ['BRAND_ICON', files.damaged, 'must be a PNG file with 8 bits a sample and no interlacing, and undamaged'],
    ['BRAND_ACCENT', 'green', 'must be a colour of three or six hexadecimal digits, such as #1b5e4b'],
    ['BRAND_ACCENT', '#12345', 'must be a colour of three or six hexadecimal digits'],
    ['BRAND_PRIVACY_URL', 'acme.example', 'must be an http(s) URL, such as https://example.com/privacy'],
    ['BRAND_TERMS_URL', 'javascript:alert(1)', 'must be an http(s) URL, such as https://example.com/terms'],
    ['BRAND_IMPRINT_URL', 'https://a:b@acme.example', 'must be an http(s) URL, such as https://example.com/imprint'],
    ['BRAND_HELP_URL', 'ftp://acme.example', 'must be an http(s) URL, such as https://example.com/help'],
    ['BRAND_SUPPORT_EMAIL', 'help', 'must be an e-mail address, such as help@example.com'],
    ['BRAND_SUPPORT_EMAIL', 'help@acme.example?bcc=x', 'must be an e-mail address'],
  ])('is rejected with the reason: %s=%j', (name, value, reason) => {
    expect(mistakesOf({ [name]: value })).toContain(`  ${name} ${reason}`)
  })

  test('for dark pages needs the one for light pages', () => {
    expect(mistakesOf({ BRAND_LOGO_DARK: files.svg })).toContain('BRAND_LOGO is required when BRAND_LOGO_DARK is set')
  })

  test('with a mistake is reported together with the others', () => {
    const message = mistakesOf({ BRAND_ACCENT: 'green', BRAND_LOGO: files.text, BRAND_HELP_URL: 'x', PORT: 'x' })
    for (const name of ['BRAND_ACCENT', 'BRAND_LOGO', 'BRAND_HELP_URL', 'PORT'])
      expect(message).toContain(`\n  ${name} `)
  })
})
