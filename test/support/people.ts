import { execute } from '../../src/admin/execute.ts'
import { operations } from '../../src/admin/operations/index.ts'
import type { TestPostern } from './postern.ts'
import { createVisitor, type Fields, type Page, type Visitor } from './visitor.ts'

/** Does something with an account that an administrator can do. */
export async function administer(postern: TestPostern, verb: string, fields: Fields | object): Promise<unknown> {
  const operation = operations().find((one) => one.noun === 'account' && one.verb === verb)
  if (!operation) throw new Error(`There is no operation account ${verb}.`)
  return execute(operation, postern.server.postern, fields, { actor: 'operator:test' })
}

/** Presses a button of the sign-in form that sends it to an address of its own, as “Forgot your password?” does. */
export function press(visitor: Visitor, signIn: Page, action: 'recover' | 'send-code', email: string): Promise<Page> {
  const { pathname } = new URL(signIn.url)
  if (!signIn.body.includes(`formaction="${pathname}/${action}"`)) throw new Error(`There is no button for ${action}.`)
  const [, csrf = ''] = /name="csrf" value="([^"]+)"/.exec(signIn.body) ?? []
  return visitor.post(`${pathname}/${action}`, { csrf, uid: String(pathname.split('/')[2]), email })
}

/** Asks for a link to choose a password, as a person does from the sign-in page. */
export async function forget(
  postern: TestPostern,
  email: string,
  visitor = createVisitor(postern.issuer),
): Promise<{ visitor: Visitor; page: Page }> {
  const form = await press(visitor, await visitor.get('/account'), 'recover', email)
  return { visitor, page: await visitor.submit(form, '/forgot', { email }) }
}

/** Signs in to the pages about the account. Returns whether that worked. */
export async function canSignIn(postern: TestPostern, email: string, secret?: string): Promise<boolean> {
  const visitor = createVisitor(postern.issuer)
  const page = await visitor.signIn(await visitor.get('/account'), email, secret)
  return new URL(page.url).pathname === '/account'
}

/** Sends the form of a page to the address that the page has. */
export function send(visitor: Visitor, page: Page, fields: Fields = {}): Promise<Page> {
  return visitor.submit(page, new URL(page.url).pathname, fields)
}
