import type { Tx } from '../database/schema.ts'
import { allLanguages, type Language } from '../languages/index.ts'
import { lookup } from '../languages/lookup.ts'
import type { Letter } from '../stores/operations/letters.ts'
import * as accounts from '../stores/people/accounts.ts'
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
  directory,
}: {
  issuer: string
  render: RenderMail
  confirmWith: (tx: Tx) => LetterContext['confirm']
  invitationSeconds: number
  defaultLanguage: Language
  directory: LetterContext['directory']
}): Compose {
  return async (tx, letter) => {
    const compose = composers[letter.kind] as Composer<typeof letter.kind> as (
      context: LetterContext,
      letter: Letter,
    ) => ReturnType<Composer<Letter['kind']>>
    const content = await compose({ tx, issuer, invitationSeconds, directory, confirm: confirmWith(tx) }, letter)
    if (!content) return undefined
    const locale = content.locale ?? (await localeOf(tx, letter))
    const wanted = [letter.language, locale].filter((tag) => typeof tag === 'string')
    const language = lookup(wanted, allLanguages) ?? defaultLanguage
    return render(content, { to: content.to ?? letter.to, language })
  }
}

/** Returns the language of the account that a letter is about, so that no composer can forget it. */
async function localeOf(tx: Tx, letter: Letter): Promise<unknown> {
  if (letter.language !== undefined || !('accountId' in letter)) return undefined
  const account = await accounts.findById(tx, letter.accountId)
  return account?.profile['locale']
}
