import type { Context, Middleware } from 'koa'
import { sha256 } from '../../crypto/digests.ts'
import { readerOf } from '../../oidc/request/reader.ts'
import type { Render } from '../../views/render.ts'

/**
 * Replaces the engine's self-submitting pages by one that looks like the others. They post an answer to an app (OAuth
 * 2.0 Form Post Response Mode §2), or let the engine continue after a GET. The content security policy allows their
 * script by its hash. Without scripts, a button submits the form.
 */
export function submittingPages({ issuer, render }: { issuer: string; render: Render }): Middleware {
  const { origin } = new URL(issuer)
  // The hash comes from a page without any data of a request, so the policy never allows a script that is not ours.
  const script = scriptOf(render({ language: 'en' }, 'submitting', { action: '', fields: [], host: undefined }))
  const source = `'sha256-${sha256(script).toString('base64')}'`

  return async (ctx, next) => {
    await next()
    const form = typeof ctx.body === 'string' && ctx.response.is('html') ? formOf(ctx.body) : undefined
    if (!form) return
    const isAway = URL.parse(form.action, origin)?.origin !== origin
    const host = isAway ? URL.parse(form.action)?.host || undefined : undefined
    // With the referrer policy of the other pages, an app gets `Origin: null`, which many frameworks reject (Fetch
    // §3.1).
    if (isAway) ctx.set('Referrer-Policy', 'strict-origin')
    ctx.body = render({ language: readerOf(ctx).language }, 'submitting', { ...form, host })
    allowOnly(ctx, source)
  }
}

function scriptOf(page: string): string {
  const script = /<script>([\s\S]*?)<\/script>/.exec(page)?.[1]
  if (script === undefined) throw new Error('The page that submits a form has no script.')
  return script
}

/** Returns the form of an engine's page that submits itself. Only those pages have this title. */
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

/** Replaces the hash of the engine's script, the last in the content security policy. */
function allowOnly(ctx: Context, source: string): void {
  const policy = ctx.response.get('Content-Security-Policy')
  ctx.set('Content-Security-Policy', policy.replace(/(script-src [^;]*)'sha256-[\w+/=]+'/, `$1${source}`))
}
