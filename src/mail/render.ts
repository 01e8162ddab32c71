import nunjucks from 'nunjucks'
import type { CurrentBrand } from '../brand/index.ts'
import { type Language, languages } from '../languages/index.ts'
import type { Mail } from '../stores/operations/letters.ts'
import { templates } from '../views/assets.ts'
import { filled, type Texts, texts } from '../views/texts/index.ts'
import { oneLine } from './message.ts'

/** The texts that a mail is made of: one for each kind of letter, and one for each other end that it can have. */
export type TextName = keyof Texts['mail']['letters']

/** The content of a mail, in any language. */
export type Content = {
  text: TextName
  values?: Record<string, string | Date>
  link?: string | undefined
  code?: string | undefined
  lifetimeSeconds?: number
  /** The address, if it is not that of the letter. */
  to?: string
  /** The language of the account, if it has one and the letter does not name the account. */
  locale?: unknown
}

type LetterTexts = { subject: string; title: string; text: string; action?: string; note?: string }

export type RenderMail = (content: Content, recipient: { to: string; language: Language }) => Mail

/** Reads and compiles the templates of mails, so that a broken one stops the start instead of a mail. */
export function createMailRenderer({
  issuer,
  brand: currentBrand,
}: {
  issuer: string
  brand: CurrentBrand
}): RenderMail {
  const loader = new nunjucks.FileSystemLoader(templates)
  const compiled = (name: string, autoescape: boolean) => {
    const environment = new nunjucks.Environment(loader, { autoescape, throwOnUndefined: true })
    environment.addFilter('fill', filled)
    return environment.getTemplate(name, true)
  }
  const html = compiled('mail/letter.html.njk', true)
  const text = compiled('mail/letter.txt.njk', false) // nothing in plain text is markup

  return ({ text: name, values = {}, link, code, lifetimeSeconds }, { to, language }) => {
    const brand = currentBrand()
    const own: LetterTexts = texts[language].mail.letters[name]
    const filling = {
      ...Object.fromEntries(Object.entries(values).map(([key, value]) => [key, written(value, language)])),
      service: brand.name,
      email: oneLine(to),
      code: code ?? '',
      lifetime: lifetimeSeconds === undefined ? '' : duration(lifetimeSeconds, language),
    }
    const fill = (sentence: string | undefined) => (sentence ? filled(sentence, filling) : undefined)
    const subject = oneLine(filled(own.subject, filling))
    const context = {
      lang: language,
      dir: languages[language],
      texts: texts[language],
      issuer,
      brand: { ...brand, links: brand.links.filter(({ isPage }) => isPage) },
      subject,
      title: fill(own.title),
      text: fill(own.text),
      action: fill(own.action) ?? '',
      note: fill(own.note),
      link,
      code,
    }
    return { to, language, subject, text: text.render(context), html: html.render(context) }
  }
}

function written(value: string | Date, language: Language): string {
  if (typeof value === 'string') return oneLine(value)
  const format: Intl.DateTimeFormatOptions = { dateStyle: 'long', timeStyle: 'short', timeZone: 'UTC' }
  return `${new Intl.DateTimeFormat(language, format).format(value)} (UTC)`
}

const units = [
  ['day', 86_400],
  ['hour', 3_600],
  ['minute', 60],
  ['second', 1],
] as const

/** Writes a lifetime in the largest unit that divides it: `15 minutes`, `1 hour`, `7 days`. */
function duration(seconds: number, language: Language): string {
  const [unit, length] = units.find(([, size]) => seconds % size === 0) ?? ['second', 1]
  return new Intl.NumberFormat(language, { style: 'unit', unit, unitDisplay: 'long' }).format(seconds / length)
}
