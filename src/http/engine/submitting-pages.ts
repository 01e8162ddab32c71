import type { Context, Middleware } from 'koa'
import { sha256 } from '../../crypto/digests.ts'
import type { Render } from '../../views/render.ts'

/**
 * Gives the engine's pages that submit a form by themselves the look of the others: an answer that is posted to an app
 * (OAuth 2.0 Form Post Response Mode §2), and the forms with which the engine goes on from a GET. Their script is allowed
 * by its hash, and where no script runs their button submits the form.
 */
export function submittingPages({ issuer, render }: { issuer: string; render: Render }): Middleware {
  const { origin } = new URL(issuer)
  // Of a page that nothing of a request is in, so that no other script than ours is ever allowed.
  const script = scriptOf(render('submitting', { action: '', fields: [], host: undefined }))
  const source = `'sha256-${sha256(script).toString('base64')}'`

  return async (ctx, next) => {
    await next()
    const form = typeof ctx.body === 'string' && ctx.response.is('html') ? formOf(ctx.body) : undefined
    if (!form) return
    const isAway = URL.parse(form.action, origin)?.origin !== origin
    const host = isAway ? URL.parse(form.action)?.host || undefined : undefined
    // With the policy of the other pages an app is sent `Origin: null`, which many frameworks reject (Fetch §3.1).
    if (isAway) ctx.set('Referrer-Policy', 'strict-origin')
    ctx.body = render('submitting', { ...form, host })
    allowOnly(ctx, source)
  }
}

function scriptOf(page: string): string {
  const script = /<script>([\s\S]*?)<\/script>/.exec(page)?.[1]
  if (script === undefined) throw new Error('The page that submits a form has no script.')
  return script
}

/** The form of a page of the engine's, by the title that only those have that submit one. */
function formOf(page: string): { action: string; fields: { name: string; value: string }[] } | undefined {
  if (!page.includes('<title>Submitting Callback</title>')) return undefined
  const action = /<form method="post" action="([^"]*)">/.exec(page)?.[1]
  if (action === undefined) return undefined
  const inputs = page.matchAll(/<input type="hidden" name="([^"]*)" value="([^"]*)"\/>/g)
  return {
    action: unescaped(action),
    fields: [...inputs].map(([, name = '', value = '']) => ({ name, value: unescaped(value) })),
  }
}

const characters: Record<string, string> = { '&amp;': '&', '&lt;': '<', '&gt;': '>', '&quot;': '"', '&#39;': "'" }

const unescaped = (text: string) => text.replace(/&(?:amp|lt|gt|quot|#39);/g, (entity) => characters[entity] ?? entity)

/** Replaces the hash of the engine's script. */
function allowOnly(ctx: Context, source: string): void {
  const policy = ctx.response.get('Content-Security-Policy')
  ctx.set('Content-Security-Policy', policy.replace(/'sha256-[\w+/=]+'/, source))
}
