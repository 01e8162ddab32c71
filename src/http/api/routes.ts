import Router from '@koa/router'
import type { Context, Middleware } from 'koa'
import { execute } from '../../admin/execute.ts'
import { executeOnce } from '../../admin/idempotency.ts'
import { describeApi, isRepeatable } from '../../admin/openapi.ts'
import type { Operation, OperationDependencies } from '../../admin/operation.ts'
import { adminPath, adminResource, adminScopes, metadataPath } from '../../oidc/admin-resource.ts'
import { verifiedAlgorithms } from '../../oidc/features.ts'
import type { Secret } from '../../secret.ts'
import { type Authorize, createAuthorize } from './authorization.ts'
import { readInput } from './input.ts'
import { Problem, problemKinds } from './problems.ts'

export type AdminDependencies = {
  operations: readonly Operation[]
  operationDependencies: OperationDependencies
  version: string
  throttleKey: Secret<Buffer>
}

/**
 * Creates the routes of the admin API: one for each operation, its description, and its protected resource metadata.
 */
export function adminRoutes(dependencies: AdminDependencies): Router {
  const { operations, operationDependencies, version } = dependencies
  const { config, provider, storage } = operationDependencies
  const issuer = config.ISSUER
  const router = new Router({ sensitive: true, strict: true })
  const authorize = createAuthorize({ provider, storage, issuer })
  const description = describeApi(operations, { issuer, version, problems: problemKinds })

  // Needs no token: it is in the source, says nothing about this server, and explains how to get a token.
  router.get(`${adminPath}/openapi.json`, (ctx) => {
    ctx.body = description
  })
  router.get(metadataPath, (ctx) => {
    ctx.body = {
      resource: adminResource(issuer).identifier,
      authorization_servers: [issuer],
      scopes_supported: Object.keys(adminScopes),
      bearer_methods_supported: ['header'],
      dpop_signing_alg_values_supported: verifiedAlgorithms,
      resource_name: adminResource(issuer).name,
    }
  })
  for (const operation of operations) {
    const { method, path } = operation.http
    const address = adminPath + path.replace(/\{(\w+)\}/g, ':$1')
    router.register(address, [method], [run(operation, dependencies, authorize)])
  }
  router.all(`${adminPath}{/*rest}`, (ctx) => answerMethods(ctx, router))
  return router
}

function run(
  operation: Operation,
  { operationDependencies, throttleKey }: AdminDependencies,
  authorize: Authorize,
): Middleware {
  const { http } = operation
  const { ISSUER } = operationDependencies.config
  return async (ctx) => {
    const { clientId, scopes } = await authorize(ctx, operation.scope)
    const input = await readInput(ctx, operation)
    const who = { actor: `client:${clientId}`, adminScopes: scopes }
    const by = { ...who, address: ctx.ip, requestId: ctx.state['requestId'] }
    const key = isRepeatable(operation) ? readKey(ctx) : undefined

    const { output, isReplayed } =
      key === undefined
        ? { output: await execute(operation, operationDependencies, input, by), isReplayed: false }
        : await executeOnce(operation, operationDependencies, input, { key, by, hashKey: throttleKey })

    ctx.status = http.status ?? 200
    if (isReplayed) ctx.set('Idempotent-Replayed', 'true')
    if (http.status === 204) return
    ctx.body = output
    const { next_cursor: cursor } = output as { next_cursor?: string }
    if (cursor !== undefined) ctx.set('Link', linkToNext(ISSUER + ctx.url, cursor))
  }
}

function readKey(ctx: Context): string | undefined {
  if (ctx.headers['idempotency-key'] === undefined) return undefined
  const key = ctx.get('Idempotency-Key')
  if (/^[\x20-\x7e]{1,255}$/.test(key)) return key
  throw new Problem('malformed-request', 'Idempotency-Key must be 1 to 255 printable ASCII characters.')
}

/** Writes the link to the next page of a list (RFC 8288 §3), with the same filters. */
function linkToNext(address: string, cursor: string): string {
  const next = new URL(address)
  next.searchParams.set('cursor', cursor)
  return `<${next.href}>; rel="next"`
}

/** Answers OPTIONS with the methods of an address (RFC 9110 §9.3.7), and so refuses every other method. */
function answerMethods(ctx: Context, router: Router): void {
  const methods = router.stack
    .filter((layer) => layer.methods.length > 0 && !layer.methods.includes('LINK') && layer.match(ctx.path))
    .flatMap((layer) => layer.methods)
  if (methods.length === 0) throw new Problem('not-found')
  ctx.set('Allow', [...new Set([...methods, 'OPTIONS'])].join(', '))
  if (ctx.method !== 'OPTIONS') throw new Problem('method-not-allowed')
  ctx.status = 204
}
