import { afterAll, beforeAll, describe, expect, test } from 'vitest'
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
    const page = await visitor.signIn(signIn, 'ada@example.com')
    expect(new URL(page.url).pathname).toBe('/account')
    expect(page.status).toBe(200)
    expect(page.body).toContain('ada@example.com')
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
    expect(await postern.database.query(`select id from clients where built_in`)).toEqual([{ id: 'postern-account' }])
  })
})
