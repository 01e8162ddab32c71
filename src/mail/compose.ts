import type { Tx } from '../database/schema.ts'
import { allLanguages, type Language } from '../languages/index.ts'
import { lookup } from '../languages/lookup.ts'
import type { Letter } from '../stores/operations/letters.ts'
import type { Compose } from './delivery.ts'
import type { Composer, LetterContext } from './letters/context.ts'
import { composers } from './letters/index.ts'
import type { RenderMail } from './render.ts'

/** Returns the function that makes mails of letters. */
export function createCompose({
  issuer,
  render,
  confirmWith,
  invitationSeconds,
  defaultLanguage,
}: {
  issuer: string
  render: RenderMail
  confirmWith: (tx: Tx) => LetterContext['confirm']
  invitationSeconds: number
  defaultLanguage: Language
}): Compose {
  return async (tx, letter) => {
    const compose = composers[letter.kind] as Composer<typeof letter.kind> as (
      context: LetterContext,
      letter: Letter,
    ) => ReturnType<Composer<Letter['kind']>>
    const content = await compose({ tx, issuer, invitationSeconds, confirm: confirmWith(tx) }, letter)
    if (!content) return undefined
    const wanted = [letter.language, content.locale].filter((tag) => typeof tag === 'string')
    const language = lookup(wanted, allLanguages) ?? defaultLanguage
    return render(content, { to: content.to ?? letter.to, language })
  }
}
