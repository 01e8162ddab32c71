import { z } from 'zod'

const loopbackHosts = ['localhost', '127.0.0.1', '[::1]']

/** Says whether a host, as in a URL, is this machine. */
export const isLoopbackHost = (host: string): boolean => loopbackHosts.includes(host)

/**
 * The address of this server. Relying parties compare it character by character (OpenID Connect Core §3.1.3.7), so it
 * must be spelled as URLs are after parsing; otherwise the issuer in the metadata and its endpoints would disagree.
 */
export const issuer = z
  .string()
  .superRefine((text, context) => {
    const problem = issuerProblem(text)
    if (problem) context.addIssue({ code: 'custom', message: problem })
  })
  .optional()
  .describe('Public URL of this server, without a trailing slash. Default: http://localhost:PORT.')

function issuerProblem(text: string): string | undefined {
  const url = URL.parse(text)
  if (!url || !/^https?:$/.test(url.protocol) || url.hostname === '') return 'must be an http(s) URL'
  if (url.search !== '' || url.hash !== '' || /[?#]$/.test(text)) {
    return `must have no trailing slash, query or fragment: ${url.origin}`
  }
  if (url.pathname !== '/') return `must have no path: Postern serves a whole origin, such as ${url.origin}`
  if (text.endsWith('/')) return `must have no trailing slash, query or fragment: ${url.origin}`
  if (url.username !== '' || url.password !== '') return `must have no user or password in it: ${url.origin}`
  if (url.protocol === 'http:' && !isLoopbackHost(url.hostname)) {
    return 'must be https: plain http is only for localhost'
  }
  if (url.hostname.endsWith('.')) {
    return `must have no dot at the end of its host: ${url.origin.replace(/\.(?=$|:\d+$)/, '')}`
  }
  if (url.origin !== text)
    return `must be spelled as URLs are compared, in lower case and ASCII, without a default port: ${url.origin}`
  return undefined
}
