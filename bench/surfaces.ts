import { addressOf } from './addressees.ts'
import type { Answer, Asker } from './asked.ts'

/** A form that takes an address, and the account or none that the address has. */
export type Surface = {
  name: string
  /** Opens the page of the form, once. Each call of the result sends the form. */
  open(asker: Asker, email: string): Promise<() => Promise<Answer>>
}

type Needs = {
  password: string
  /** Waits until the letters are mails, which is when a code exists. */
  delivered(): Promise<void>
}

/** Returns the forms in which a stranger can name any address. */
export function surfacesWith({ password, delivered }: Needs): Surface[] {
  const signInPage = (asker: Asker) => asker.get('/account')
  const newcomer = { name: 'Ada', password: 'rosemary for remembrance', terms: 'accepted' }
  const wrong = { code: '12 34 56' }

  return [
    {
      name: 'sign in with a wrong password',
      async open(asker, email) {
        const page = await signInPage(asker)
        return () => asker.send(page, '/sign-in', { email, password: `not ${password}` })
      },
    },
    {
      name: 'sign up',
      async open(asker, email) {
        const page = await asker.get(`${(await signInPage(asker)).url}/sign-up`)
        return () => asker.send(page, '/sign-up', { ...newcomer, email })
      },
    },
    {
      name: 'enter a code to sign up',
      async open(asker, email) {
        const page = await asker.get(`${(await signInPage(asker)).url}/sign-up`)
        return async () => {
          const asked = await asker.send(page, '/sign-up', { ...newcomer, email })
          await delivered()
          return asker.send(asked.page, '/code', wrong)
        }
      },
    },
    {
      name: 'forget the password',
      async open(asker, email) {
        const page = await asker.send(await signInPage(asker), '/recover', { email })
        return () => asker.send(page.page, '/forgot', { email })
      },
    },
    {
      name: 'ask for a code to sign in',
      async open(asker, email) {
        const page = await signInPage(asker)
        return () => asker.send(page, '/send-code', { email })
      },
    },
    {
      name: 'enter a code to sign in',
      async open(asker, email) {
        const page = await signInPage(asker)
        return async () => {
          const asked = await asker.send(page, '/send-code', { email })
          await delivered()
          return asker.send(asked.page, '/code', wrong)
        }
      },
    },
    {
      name: 'change the own address to it',
      async open(asker, email) {
        const page = await asker.send(await signInPage(asker), '/sign-in', { email: addressOf('asker'), password })
        const form = await asker.get('/account/email')
        if (!form.url.endsWith('/account/email')) throw new Error(`Signing in led to ${page.page.url}.`)
        return async () => {
          const answer = await asker.send(form, '/account/email', { email })
          if (answer.page.url !== form.url) throw new Error('The sign-in is no longer recent.')
          return answer
        }
      },
    },
  ]
}
