import { createPasskey, type Said, type SoftPasskey } from './authenticator.ts'
import type { TestPostern } from './postern.ts'
import { createVisitor, formsOf, type Page, type Visitor } from './visitor.ts'

/** A person whose browser has passkeys. */
export type PasskeyHolder = { visitor: Visitor; passkey: SoftPasskey; email: string }

/** Sends what the script of a page sends, and returns the options that the server answers with. */
export async function optionsAt(visitor: Visitor, page: Page): Promise<never> {
  const [box = ''] = /<div [^>]*data-passkey[^>]*>/.exec(page.body) ?? []
  const [, path = ''] = /data-options="([^"]+)"/.exec(box) ?? []
  const { csrf = '', uid = '' } = formWithPasskey(page)
  const answer = await visitor.post(path, { csrf, uid })
  if (answer.status !== 200) throw new Error(`There are no options at ${path}: ${answer.status}`)
  return JSON.parse(answer.body) as never
}

/** Sends the answer of an authenticator, as the script of a page does. */
export function sendPasskey(
  visitor: Visitor,
  page: Page,
  response: string,
  fields: Record<string, string> = {},
): Promise<Page> {
  const [, path = ''] = /data-action="([^"]+)"/.exec(page.body) ?? []
  return visitor.post(path, { ...formWithPasskey(page), ...fields, response })
}

function formWithPasskey(page: Page): Record<string, string> {
  const form = formsOf(page.body).find(({ hidden }) => 'response' in hidden)
  if (!form) throw new Error(`There is no form for a passkey at ${page.url}.`)
  return Object.fromEntries(Object.entries(form.hidden).map(([name, value]) => [name, [value].flat()[0] ?? '']))
}

/** Adds a passkey to the account that a visitor is signed in to. */
export async function addPasskey(
  visitor: Visitor,
  passkey: SoftPasskey,
  { name = 'My phone', said = {} }: { name?: string; said?: Said } = {},
): Promise<Page> {
  const page = await visitor.get('/account/passkeys/add')
  return sendPasskey(visitor, page, passkey.register(await optionsAt(visitor, page), said), { name })
}

/** Signs in with a passkey on the sign-in page. */
export async function signInWith(visitor: Visitor, page: Page, passkey: SoftPasskey, said: Said = {}): Promise<Page> {
  return sendPasskey(visitor, page, passkey.authenticate(await optionsAt(visitor, page), said))
}

/** Creates an account with a passkey, whose owner is signed in. */
export async function createHolder(
  postern: TestPostern,
  email: string,
  options: Parameters<typeof createPasskey>[1] = {},
): Promise<PasskeyHolder> {
  await postern.createAccount(email)
  const visitor = createVisitor(postern.issuer)
  await visitor.signIn(await visitor.get('/account'), email)
  const passkey = createPasskey(new URL(postern.issuer).origin, options)
  const added = await addPasskey(visitor, passkey)
  if (!added.url.endsWith('/account/security'))
    throw new Error(`The passkey was not added: ${added.status} ${added.url}`)
  return { visitor, passkey, email }
}
