import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { operations } from '../../../src/admin/operations/index.ts'
import { operate } from '../../support/operator.ts'
import { startPostern, type TestPostern } from '../../support/postern.ts'
import { createVisitor } from '../../support/visitor.ts'

let postern: TestPostern
beforeAll(async () => {
  postern = await startPostern()
  await postern.createAccount('ada@example.com')
})
afterAll(() => postern?.stop())

describe('The pages about a person’s own account', () => {
  test('lead a person who is not signed in to the sign-in page, and back', async () => {
    const visitor = createVisitor(postern.issuer)
    const signIn = await visitor.get('/account')
    expect(new URL(signIn.url).pathname).toMatch(/^\/interaction\//)
    expect(signIn.body).toContain('Sign in to your account')
    expect(signIn.body).not.toMatch(/app on this device/i)
    const page = await visitor.signIn(signIn, 'ada@example.com')
    expect(new URL(page.url).pathname).toBe('/account')
    expect(page.status).toBe(200)
    expect(page.body).toContain('ada@example.com')
  })

  test('and the sign-in before them keep what a person typed out of every address', async () => {
    const visitor = createVisitor(postern.issuer)
    const signIn = await visitor.get('/account')
    const page = await visitor.get(`${signIn.url}?email=ada%40example.com&name=Ada`)
    expect([page.status, page.url]).toEqual([200, signIn.url])
    expect(page.body).not.toContain('ada@example.com')
  })

  test('return only to addresses of their own', async () => {
    const visitor = createVisitor(postern.issuer)
    for (const state of ['https://evil.example', '//evil.example', '/oauth/logout', '/account/../oauth', '/accounts']) {
      const response = await fetch(`${postern.issuer}/account/callback?${new URLSearchParams({ state, code: 'x' })}`, {
        redirect: 'manual',
      })
      expect([state, response.status, response.headers.get('location')]).toEqual([state, 303, '/account'])
    }
    expect(visitor.cookies.size).toBe(0)
  })

  test('have a client that administrators neither see nor change', async () => {
    const [client_id, known] = ['postern-account', []] as [string, string[]]
    expect(await postern.database.query(`select id from clients where built_in`)).toEqual([{ id: client_id }])
    for (const { noun, verb, input } of operations().filter((one) => one.noun === 'client')) {
      if (!input.safeParse({ client_id }).success) continue
      if (verb !== 'list') known.push(verb)
      const outcome = operate(postern, `${noun} ${verb}`, { client_id })
      if (verb === 'list') expect(JSON.stringify(await outcome)).not.toContain(client_id)
      else await expect(outcome, verb).rejects.toThrow(verb === 'create' ? client_id : 'There is no client')
    }
    expect(known).toEqual(expect.arrayContaining(['show', 'delete', 'disable', 'enable', 'rotate-secret']))
  })

  test('work again after a start, whatever became of the client', async () => {
    await postern.database.query(`update clients set deleted_at = now(), metadata = '{}' where built_in`)
    await postern.restart()
    const page = await createVisitor(postern.issuer).get('/account')
    expect([page.status, page.body.includes('current-password')]).toEqual([200, true])
  })
})
