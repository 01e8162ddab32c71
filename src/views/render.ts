import nunjucks from 'nunjucks'
import { type CurrentBrand, createBrand } from '../brand/index.ts'
import { allLanguages, type Language, languages } from '../languages/index.ts'
import { integrityOf, scripts, templates, versionOfAssets } from './assets.ts'
import { createFilters } from './filters.ts'
import { type ViewName, type Views, viewNames } from './pages/index.ts'
import { named, type Texts, texts as translations } from './texts/index.ts'

/**
 * The person that a page is rendered for, as far as the page depends on it: their language, and whether they can choose
 * another.
 */
export type Reader = { language: Language; canChoose?: boolean }

export type Render = <Name extends ViewName>(reader: Reader, name: Name, data: Views[Name]) => string

/** Reads and compiles every template, so that a broken one stops the start instead of a request. */
export function createViews({
  assetsVersion = versionOfAssets(),
  brand: currentBrand = createBrand({ ISSUER: 'http://localhost:3000', BRAND_NAME: 'Postern' }),
  texts = translations,
}: {
  assetsVersion?: string | undefined
  brand?: CurrentBrand | undefined
  texts?: Record<Language, Texts> | undefined
} = {}): { render: Render } {
  const environment = new nunjucks.Environment(new nunjucks.FileSystemLoader(templates), {
    autoescape: true,
    throwOnUndefined: true,
  })
  environment.addGlobal('assetsVersion', assetsVersion)
  environment.addGlobal('integrity', Object.fromEntries(scripts.map((name) => [name, integrityOf(name)])))
  environment.addGlobal('languages', allLanguages)
  let spoken = wordsFor(currentBrand().name)

  /** Returns the texts and the filters of every language. The texts have the name of this service in them. */
  function wordsFor(service: string) {
    const words = named(texts, service)
    const filters = new Map(allLanguages.map((language) => [language, createFilters(language, words[language])]))
    return { service, words, filters }
  }

  /** Sets the language of the page that is rendered next. A page is rendered in one go, so no other comes in between. */
  function speak(language: Language): void {
    const { words, filters } = spoken
    const globals = { lang: language, dir: languages[language], texts: words[language] }
    for (const [name, value] of Object.entries(globals)) environment.addGlobal(name, value)
    for (const [name, filter] of Object.entries(filters.get(language) ?? {})) environment.addFilter(name, filter)
  }

  speak('en') // a template is compiled with the filters that it names
  for (const name of viewNames) environment.getTemplate(`${name}.njk`, true)

  return {
    render({ language, canChoose = false }, name, data) {
      const brand = currentBrand()
      if (brand.name !== spoken.service) spoken = wordsFor(brand.name)
      speak(language)
      return environment.render(`${name}.njk`, { ...data, brand, canChoose })
    },
  }
}
