import { existsSync, readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { extname, join } from 'node:path'
import nunjucks from 'nunjucks'
import { headersOfEvery } from '../../src/http/middleware/security-headers.ts'
import { assets, integrityOf, templates } from '../../src/views/assets.ts'
import { createFilters } from '../../src/views/filters.ts'
import { english, named } from '../../src/views/texts/index.ts'
import { account, client, fullBrand } from '../support/page-examples.ts'

const types: Record<string, string> = { '.css': 'text/css', '.js': 'text/javascript', '.svg': 'image/svg+xml' }

/** Returns a page with every part that pages are made of. No server of ours has it; it is there to be looked at. */
export function renderParts({ dir = 'ltr' }: { dir?: 'ltr' | 'rtl' } = {}): string {
  const environment = new nunjucks.Environment(new nunjucks.FileSystemLoader([import.meta.dirname, templates]), {
    autoescape: true,
    throwOnUndefined: true,
  })
  const texts = named(english, 'Postern')
  const integrity = { 'postern.js': integrityOf('postern.js') }
  const globals = {
    lang: 'en',
    dir,
    texts,
    brand: { ...fullBrand, name: 'Postern', paths: { ...fullBrand.paths, styleSheet: undefined } },
    assetsVersion: '1',
    integrity,
  }
  for (const [name, value] of Object.entries(globals)) environment.addGlobal(name, value)
  for (const [name, filter] of Object.entries(createFilters('en', texts))) environment.addFilter(name, filter)
  return environment.render('parts.njk', { client, person: account, icons: iconNames() })
}

/** Serves that page with the assets and the headers of real ones. */
export async function serveParts(): Promise<{ origin: string; stop(): void }> {
  const server = createServer((request, response) => {
    const { pathname, searchParams } = new URL(String(request.url), 'http://localhost')
    const isAsset = pathname.startsWith('/assets/')
    response.writeHead(200, {
      ...headersOfEvery(),
      'content-type': types[extname(pathname)] ?? 'text/html; charset=utf-8',
    })
    const file = join(assets, pathname.slice('/assets/'.length))
    response.end(
      isAsset
        ? existsSync(file)
          ? readFileSync(file)
          : '' // the style sheet of a brand is not a file
        : renderParts({ dir: searchParams.get('dir') === 'rtl' ? 'rtl' : 'ltr' }),
    )
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return { origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, stop: () => server.close() }
}

function iconNames(): string[] {
  const source = readFileSync(join(templates, 'parts/icons.njk'), 'utf8')
  return [...source.matchAll(/name == '([a-z]+)'/g)].map(([, name = '']) => name)
}
