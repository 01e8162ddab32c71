import nunjucks from 'nunjucks'
import { allLanguages, type Language, languages } from '../languages/index.ts'
import { integrityOfScript, templates, versionOfAssets } from './assets.ts'
import { createFilters } from './filters.ts'
import { type ViewName, type Views, viewNames } from './pages/index.ts'
import { named, type Texts, texts as translations } from './texts/index.ts'

/** The person that a page is rendered for, as far as the page depends on it. */
export type Reader = { language: Language }

export type Render = <Name extends ViewName>(reader: Reader, name: Name, data: Views[Name]) => string

/** Reads and compiles every template, so that a broken one stops the start instead of a request. */
export function createViews({
  assetsVersion = versionOfAssets(),
  service = 'Postern',
  texts = translations,
}: {
  assetsVersion?: string | undefined
  /** The name of this service, wherever a text has `{service}`. */
  service?: string | undefined
  texts?: Record<Language, Texts> | undefined
} = {}): { render: Render } {
  const environment = new nunjucks.Environment(new nunjucks.FileSystemLoader(templates), {
    autoescape: true,
    throwOnUndefined: true,
  })
  environment.addGlobal('assetsVersion', assetsVersion)
  environment.addGlobal('scriptIntegrity', integrityOfScript())
  environment.addGlobal('service', service)
  const words = named(texts, service)
  const filters = new Map(allLanguages.map((language) => [language, createFilters(language, words[language])]))

  /** Sets the language of the page that is rendered next. A page is rendered in one go, so no other comes in between. */
  function speak(language: Language): void {
    const globals = { lang: language, dir: languages[language], texts: words[language] }
    for (const [name, value] of Object.entries(globals)) environment.addGlobal(name, value)
    for (const [name, filter] of Object.entries(filters.get(language) ?? {})) environment.addFilter(name, filter)
  }

  speak('en') // a template is compiled with the filters that it names
  for (const name of viewNames) environment.getTemplate(`${name}.njk`, true)

  return {
    render({ language }, name, data) {
      speak(language)
      return environment.render(`${name}.njk`, data)
    },
  }
}
