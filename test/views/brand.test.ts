import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { Brand } from '../../src/brand/index.ts'
import { assets, integrityOf, versionOfAssets } from '../../src/views/assets.ts'
import type { ViewName } from '../../src/views/pages/index.ts'
import { createViews } from '../../src/views/render.ts'
import { examples, fullBrand, names } from '../support/page-examples.ts'

const inEnglish = { language: 'en' } as const
const hostile = '<script>alert("x")</script>'

/** Returns the example of a page with another brand. */
const renderAs = (shown: Brand, name: ViewName): string =>
  createViews({ brand: () => shown }).render(inEnglish, name, examples[name])

test('assets are addressed by a version of their content', () => {
  const page = renderAs(fullBrand, 'home')
  const paths = [...page.matchAll(/"\/assets\/([^?"]+)\?v=([^"]+)"/g)].map(([, name, version]) => [name, version])
  const { files } = fullBrand
  const own = [
    'postern.css',
    'parts.css',
    'consent.css',
    'account.css',
    'languages.css',
    'preferences.css',
    'postern.js',
  ]
  expect(paths).toEqual([
    ['favicon.svg', files['favicon.svg']?.version],
    ...own.slice(0, -1).map((file) => [file, versionOfAssets()]),
    ['brand.css', files['brand.css']?.version],
    ['postern.js', versionOfAssets()],
  ])
  for (const file of own) expect(existsSync(join(assets, file)), file).toBe(true)
  expect(page).toContain(`integrity="${integrityOf('postern.js')}"`)
})

test('a page shows the name and the links of the brand', () => {
  for (const name of names) {
    const page = renderAs({ ...fullBrand, name: hostile }, name)
    expect(page, name).not.toContain('<script>alert')
    expect(page, name).toContain('script&gt;</title>')
    expect(page, name).toContain('<bdi>&lt;script&gt;')
    expect(page, name).toContain('href="https://acme.example/help?a=1&amp;b=&quot;2&quot;"')
    expect(page, name).toContain('href="mailto:help@acme.example"')
  }
  expect(renderAs({ ...fullBrand, name: hostile }, 'sign-in')).toContain('stays with &lt;script&gt;')
  expect(createViews().render(inEnglish, 'home', examples.home)).not.toContain('<footer')
})

test('a page shows the logo in place of the name, and on a light plate if it has none for dark pages', () => {
  const logo = { path: '/assets/logo.png?v=1', url: 'https://id.example/assets/logo.png?v=1', width: 120, height: 36 }
  const withLogo = (dark?: typeof logo) =>
    renderAs({ ...fullBrand, name: 'Acme', logo: { light: logo, dark, mail: logo } }, 'home')
  const image = '<img src="/assets/logo.png?v=1" alt="Acme" width="120" height="36">'
  expect(withLogo()).toContain(image)
  expect(withLogo()).toContain('plated')
  expect(withLogo()).not.toContain('class="mark"')
  const both = withLogo({ ...logo, path: '/assets/logo-dark.png?v=2' })
  expect(both).toMatch(/<source srcset="\/assets\/logo-dark\.png\?v=2"[^>]+media="\(prefers-color-scheme: dark\)">/)
  expect(both).toContain(image)
  expect(both).not.toContain('plated')
})

test('a page shows the brand as it is at that moment', () => {
  let name = 'Before'
  const { render: renderNow } = createViews({ brand: () => ({ ...fullBrand, name }) })
  expect(renderNow(inEnglish, 'home', examples.home)).toContain(' · Before</title>')
  name = 'After'
  expect(renderNow(inEnglish, 'home', examples.home)).toContain(' · After</title>')
})

test('the consent page shows the icon of the brand beside that of the app, or the mark if there is none', () => {
  const icon = { path: '/assets/icon-192.png?v=1', type: 'image/png' }
  const withIcon = { ...fullBrand, hasIcon: true, paths: { ...fullBrand.paths, icon } }
  const image = '<img class="logo" src="/assets/icon-192.png?v=1" alt="" width="44" height="44">'
  expect(renderAs(withIcon, 'consent')).toMatch(
    new RegExp(`class="pair"[^>]*>\\s*${image.replaceAll('?', '\\?')}[^]*class="tile`),
  )
  expect(renderAs(fullBrand, 'consent')).toMatch(
    /class="pair"[^>]*>\s*<span class="logo logo-mark">\s*<svg class="mark"/,
  )
  expect(renderAs(withIcon, 'sign-in')).not.toContain('class="pair"')
})
