import Router from '@koa/router'
import type { Context, Middleware } from 'koa'
import { koaBody } from 'koa-body'
import type { Logger } from 'pino'
import { execute } from '../../admin/execute.ts'
import { executeOnce } from '../../admin/idempotency.ts'
import { describeApi, isRepeatable, pathFields } from '../../admin/openapi.ts'
import { type Operation, type OperationDependencies, Refusal } from '../../admin/operation.ts'
import { fromText } from '../../admin/text.ts'
import { adminPath, adminResource, adminScopes } from '../../oidc/admin-resource.ts'
import { type Authorize, createAuthorize, metadataPath } from './authorization.ts'
import { answerProblem, Problem, problemKinds, toProblem } from './problems.ts'

export type AdminDependencies = {
  operations: readonly Operation[]
  operationDependencies: OperationDependencies
  version: string
  log: Logger
}

const largestBody = '256kb' // as much metadata as the policy of administrators allows

/** The admin API: a route for each operation, its description, and the metadata of it as a protected resource. */
export function adminRoutes(dependencies: AdminDependencies): Router {
  const { operations, operationDependencies, version } = dependencies
  const { config, provider, storage } = operationDependencies
  const issuer = config.ISSUER
  const router = new Router({ sensitive: true, strict: true })
  const authorize = createAuthorize({ provider, clients: storage.clients, issuer })
  const description = describeApi(operations, { issuer, version, problems: problemKinds })

  router.use(adminPath, problems(dependencies))
  // Without a token: it is in the source, says nothing of this server, and is what one reads to find out about tokens.
  router.get(`${adminPath}/openapi.json`, (ctx) => {
    ctx.body = description
  })
  router.get(metadataPath, (ctx) => {
    ctx.body = {
      resource: adminResource(issuer).identifier,
      authorization_servers: [issuer],
      scopes_supported: Object.keys(adminScopes),
      bearer_methods_supported: ['header'],
      resource_name: adminResource(issuer).name,
    }
  })
  for (const operation of operations) {
    const { method, path } = operation.http
    const address = adminPath + path.replace(/\{(\w+)\}/g, ':$1')
    router.register(address, [method], [run(operation, dependencies, authorize)])
  }
  router.all(`${adminPath}{/*rest}`, (ctx) => refuseMethod(ctx, router))
  return router
}

/** Answers everything that goes wrong below as problem details, and keeps all answers out of caches. */
function problems({ log }: AdminDependencies): Middleware {
  return async (ctx, next) => {
    ctx.set('Cache-Control', 'no-store')
    try {
      await next()
    } catch (error) {
      const problem = toProblem(error)
      if (problem.cause !== undefined) {
        log.error({ err: problem.cause, requestId: ctx.state['requestId'] }, 'an operation failed')
      }
      answerProblem(ctx, problem)
    }
  }
}

function run(operation: Operation, { operationDependencies }: AdminDependencies, authorize: Authorize): Middleware {
  const { http } = operation
  const readsQuery = http.method === 'GET' || http.method === 'DELETE'
  return async (ctx) => {
    const { clientId, scopes } = await authorize(ctx, operation.scope)
    const given = readsQuery ? fromText(operation.input, { ...ctx.query }) : await readBody(ctx)
    const input = { ...given, ...readPath(ctx, operation, given) }
    const who = { actor: `client:${clientId}`, adminScopes: scopes }
    const by = { ...who, address: ctx.ip, requestId: ctx.state['requestId'] }
    const key = isRepeatable(operation) ? ctx.get('Idempotency-Key') : ''
    if (key.length > 255) throw new Problem('malformed-request', 'Idempotency-Key has more than 255 characters.')

    const { output, isReplayed } =
      key === ''
        ? { output: await execute(operation, operationDependencies, input, by), isReplayed: false }
        : await executeOnce(operation, operationDependencies, input, { key, by })

    ctx.status = http.status ?? 200
    if (isReplayed) ctx.set('Idempotent-Replayed', 'true')
    if (http.status !== 204) ctx.body = output
  }
}

const json = koaBody({
  urlencoded: false,
  text: false,
  multipart: false,
  jsonStrict: true,
  jsonLimit: largestBody,
  parsedMethods: ['POST', 'PUT', 'PATCH'] as never,
  onError: (error) => {
    const isTooLarge = (error as { status?: number }).status === 413
    throw new Problem(isTooLarge ? 'too-large' : 'malformed-request', isTooLarge ? undefined : 'The body is not JSON.')
  },
})

async function readBody(ctx: Context): Promise<Record<string, unknown>> {
  const type = ctx.is('json')
  if (type === null || ctx.get('Content-Length') === '0') return {} // there is no body
  if (type === false) throw new Problem('unsupported-media-type')
  await json(ctx as never, async () => {})
  const { body } = ctx.request as { body?: unknown }
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw new Problem('malformed-request', 'The body is not a JSON object.')
  }
  return body as Record<string, unknown>
}

/** The fields of the path. They are said there alone, so that nothing can be done to something else than it says. */
function readPath(ctx: Context, operation: Operation, given: Record<string, unknown>): Record<string, unknown> {
  const names = pathFields(operation)
  const twice = names.find((name) => Object.hasOwn(given, name))
  if (twice) throw new Refusal('invalid', 'is in the path and must not be given again', { field: twice })
  return Object.fromEntries(names.map((name) => [name, ctx['params'][name]]))
}

function refuseMethod(ctx: Context, router: Router): void {
  const methods = router.stack
    .filter((layer) => layer.methods.length > 0 && !layer.methods.includes('LINK') && layer.match(ctx.path))
    .flatMap((layer) => layer.methods)
  if (methods.length === 0) throw new Problem('not-found')
  ctx.set('Allow', [...new Set(methods)].join(', '))
  throw new Problem('method-not-allowed')
}
