import type Provider from 'oidc-provider'
import type { Acting } from '../../accounts/acting.ts'
import type { Db } from '../../database/schema.ts'
import type { Render } from '../../views/render.ts'
import type { Csrf } from '../csrf.ts'

export type AccountDependencies = {
  db: Db
  provider: Provider
  render: Render
  csrf: Csrf
  act: Acting
  issuer: string
}
