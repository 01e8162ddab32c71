import { request } from 'node:http'
import { createServer, type Server } from 'node:https'
import { createCertificate } from './certificate.ts'
import { forwarded, type HttpsPostern } from './https-postern.ts'

/** What the page of a hostile host of the same site does to a browser that opens it. */
export type Trap = {
  cookies: string[]
  go: { href: string } | { form: { action: string; fields: [string, string][] } }
}

/** A proxy that ends TLS for a Postern, and for a hostile host of the same site. */
export type Site = {
  /** The address of the hostile page. */
  trapUrl: string
  lay(trap: Trap): void
  /** Returns the cookies, as `name=value`, that the Postern received since the trap was laid. */
  received(): string[]
  stop(): void
}

export async function startSite(postern: HttpsPostern): Promise<Site> {
  const { host } = new URL(postern.issuer)
  const evil = host.replace('login.', 'evil.')
  let trap: Trap | undefined
  const cookies = new Set<string>()
  const server: Server = createServer(createCertificate(), (asked, response) => {
    if (asked.headers.host === evil) {
      if (trap && asked.url === '/')
        response.writeHead(200, { 'content-type': 'text/html', 'set-cookie': trap.cookies })
      response.end(trap && asked.url === '/' ? pageOf(trap) : '')
      return
    }
    const { method, url: path, headers } = asked
    for (const pair of headers.cookie?.split('; ') ?? []) cookies.add(pair)
    const onward = request(
      { host: '127.0.0.1', port: postern.config.PORT, method, path, headers: { ...headers, ...forwarded(host) } },
      (answer) => {
        response.writeHead(Number(answer.statusCode), answer.headers)
        answer.pipe(response)
      },
    )
    onward.on('error', () => response.destroy())
    asked.pipe(onward)
  })
  await new Promise<void>((resolve) => server.listen(postern.proxyPort, '127.0.0.1', resolve))
  return {
    trapUrl: `https://${evil}/`,
    lay(given) {
      trap = given
      cookies.clear()
    },
    received: () => [...cookies],
    stop() {
      server.close()
      server.closeAllConnections()
    },
  }
}

function pageOf({ go }: Trap): string {
  if ('href' in go) return `<!doctype html><script>location.replace(${JSON.stringify(go.href)})</script>`
  const inputs = go.form.fields.map(([name, value]) => `<input name="${name}" value="${value}">`)
  return `<!doctype html><form method="post" action="${go.form.action}">${inputs.join('')}</form><script>document.forms[0].submit()</script>`
}
