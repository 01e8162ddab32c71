/**
 * The app that asks. `host` is where its answer is sent, or the scheme that this is of where that is an app, or nothing
 * for a device. `isReviewed` says that an administrator registered it; any other is a stranger, who chose all of this,
 * but cannot choose where the host leads to. `document` is its client id metadata document, if it has one.
 */
export type Asker = {
  name: string
  host: string
  isReviewed: boolean
  /** Where its logo is on this server. Strangers have none: it could be that of somebody else. */
  logo: string | undefined
  document: { host: string; address: string } | undefined
}

/** Pages about a client that it names itself. */
export type Links = {
  uri: string | undefined
  policyUri: string | undefined
  tosUri: string | undefined
}

/** What the templates ask about an app that asks. */
export const filters = { knownAs, knownHost, quoted, isVerified, isLoopback, isOfApp, scheme, links }

/** What an app is known by: the host that it cannot make up, or else what it calls itself. */
function knownAs(client: Asker): string {
  if (client.document) return knownHost(client)
  return client.isReviewed ? client.name : quoted(client.name)
}

/**
 * The host that a page may name as that of an app. A document speaks for its host only while the answer goes there, or
 * to an app that has no host; otherwise it is the host that gets the answer.
 */
function knownHost({ host, document }: Asker): string {
  if (document && (host === '' || isOfApp(host))) return document.host
  return host
}

/** Whether the one who gets the answer published the document. */
function isVerified({ host, document }: Asker): boolean {
  return document !== undefined && host === document.host && !isOfApp(host)
}

/** What a stranger chose to be called. No quotation mark in it ends the quotation: inside of one they are single. */
function quoted(name: string): string {
  return `\u201c${name.replace(/["\u00ab\u00bb\u201c-\u201f\u275d\u275e\u301d-\u301f\uff02]/g, '\u2019')}\u201d`
}

/** Whether a host is the person's own machine, where "you return to 127.0.0.1:33418" would say nothing. */
function isLoopback(host: string): boolean {
  return /^(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?$/i.test(host)
}

/** Whether what is there is an app on the person's device, which may be any: nobody can say whose it is (RFC 8252 §8.6). */
function isOfApp(host: string): boolean {
  return isLoopback(host) || host.endsWith(':')
}

/** The scheme of an app's own that an answer is sent by, as `com.example.app`. */
function scheme(host: string): string | undefined {
  return host.endsWith(':') ? host.slice(0, -1) : undefined
}

/**
 * The pages about an app, each with the host it is at. A stranger's are links only where that is the host that the page
 * names: others would be for the person to take as theirs (RFC 7591 §5).
 */
function links(client: Asker & Links): { label: string; host: string; href: string | undefined }[] {
  const pages = [
    ['Website', client.uri],
    ['Privacy policy', client.policyUri],
    ['Terms of service', client.tosUri],
  ] as const
  return pages.flatMap(([label, uri]) => {
    const url = uri === undefined ? null : URL.parse(uri)
    // Escaping does not stop `javascript:` in an href.
    if (!url || !/^https?:$/.test(url.protocol)) return []
    const isLinked = client.isReviewed || url.host === knownHost(client)
    return [{ label, host: url.host, href: isLinked ? url.href : undefined }]
  })
}
