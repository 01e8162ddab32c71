import nunjucks from 'nunjucks'
import { type CurrentBrand, createBrand } from '../brand/index.ts'
import { templates, versionOfAssets } from './assets.ts'
import { createFilters } from './filters.ts'
import { type ViewName, type Views, viewNames } from './pages/index.ts'
import { english, type Texts } from './texts/index.ts'

export type Render = <Name extends ViewName>(name: Name, data: Views[Name]) => string

/** Reads and compiles every template, so that a broken one stops the start instead of a request. */
export function createViews({
  assetsVersion = versionOfAssets(),
  lang = 'en',
  dir = 'ltr',
  texts = english,
  brand = createBrand({ ISSUER: 'http://localhost:3000', BRAND_NAME: 'Postern' }),
}: {
  assetsVersion?: string | undefined
  lang?: string | undefined
  dir?: 'ltr' | 'rtl' | undefined
  texts?: Texts | undefined
  brand?: CurrentBrand | undefined
} = {}): { render: Render } {
  const environment = new nunjucks.Environment(new nunjucks.FileSystemLoader(templates), {
    autoescape: true,
    throwOnUndefined: true,
  })
  for (const [name, value] of Object.entries({ assetsVersion, lang, dir, texts })) environment.addGlobal(name, value)
  for (const [name, filter] of Object.entries(createFilters({ lang, texts }))) environment.addFilter(name, filter)
  for (const name of viewNames) environment.getTemplate(`${name}.njk`, true)

  return { render: (name, data) => environment.render(`${name}.njk`, { ...data, brand: brand() }) }
}
