import nunjucks from 'nunjucks'
import { templates, versionOfAssets } from './assets.ts'
import { createFilters } from './filters.ts'
import { type ViewName, type Views, viewNames } from './pages/index.ts'
import { english, named, type Texts } from './texts/index.ts'

export type Render = <Name extends ViewName>(name: Name, data: Views[Name]) => string

/** Reads and compiles every template, so that a broken one stops the start instead of a request. */
export function createViews({
  assetsVersion = versionOfAssets(),
  lang = 'en',
  dir = 'ltr',
  service = 'Postern',
  texts = english,
}: {
  assetsVersion?: string | undefined
  lang?: string | undefined
  dir?: 'ltr' | 'rtl' | undefined
  /** The name of this service, wherever a text has `{service}`. */
  service?: string | undefined
  texts?: Texts | undefined
} = {}): { render: Render } {
  const environment = new nunjucks.Environment(new nunjucks.FileSystemLoader(templates), {
    autoescape: true,
    throwOnUndefined: true,
  })
  const words = named(texts, service)
  const globals = { assetsVersion, lang, dir, service, texts: words }
  for (const [name, value] of Object.entries(globals)) environment.addGlobal(name, value)
  for (const [name, filter] of Object.entries(createFilters({ lang, texts: words })))
    environment.addFilter(name, filter)
  for (const name of viewNames) environment.getTemplate(`${name}.njk`, true)

  return { render: (name, data) => environment.render(`${name}.njk`, data) }
}
