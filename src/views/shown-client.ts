import type { Language } from '../languages/index.ts'
import { quoted } from '../languages/quotation.ts'
import type { Texts } from './texts/index.ts'

/** The app that a page is about. */
export type ShownClient = {
  name: string
  /** The host that its answer is sent to, the scheme if an app on the device gets it, or nothing for a device. */
  host: string
  /**
   * Whether an administrator registered it. Any other app is a stranger: it chose everything here except where its host
   * leads.
   */
  isReviewed: boolean
  /** The path of its logo on this server. A stranger has none: it could be somebody else's. */
  logo: string | undefined
  /** Whether it is these pages themselves, where people look after their accounts. */
  isOwn?: boolean
  /** Its client ID metadata document, if it has one. */
  document: { host: string; address: string } | undefined
}

/** Pages about a client that it names itself. */
export type Links = {
  uri: string | undefined
  policyUri: string | undefined
  tosUri: string | undefined
}

/**
 * Returns the name that pages give an app: the host that it cannot make up, or otherwise the name it chose, in quotation
 * marks if that was a stranger.
 */
export function knownAs(client: ShownClient, language: Language): string {
  if (client.document) return knownHost(client)
  return client.isReviewed ? client.name : quoted(client.name, language)
}

/**
 * Returns the host that a page may name as the app's own. A document speaks for its host only if the answer goes there,
 * or to an app that has no host. Otherwise it is the host that gets the answer.
 */
export function knownHost({ host, document }: ShownClient): string {
  if (document && (host === '' || isOfApp(host))) return document.host
  return host
}

/** Returns whether the host that gets the answer also published the document. */
export function isVerified({ host, document }: ShownClient): boolean {
  return document !== undefined && host === document.host && !isOfApp(host)
}

/** Returns whether a host is the person's own machine. "You return to 127.0.0.1:33418" would tell them nothing. */
export function isLoopback(host: string): boolean {
  return /^(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?$/i.test(host)
}

/**
 * Returns whether an app on the person's device gets the answer. It may be any app: nobody can tell whose (RFC 8252
 * §8.6).
 */
export function isOfApp(host: string): boolean {
  return isLoopback(host) || host.endsWith(':')
}

/** Returns an app's own scheme that its answer is sent by, such as `com.example.app`. */
export function scheme(host: string): string | undefined {
  return host.endsWith(':') ? host.slice(0, -1) : undefined
}

/** A page about an app. Without an `href` it is named but not linked. */
export type Link = { kind: keyof Texts['app']['links']; host: string; href: string | undefined }

/**
 * Returns the pages about an app, each with its host. A stranger's page is linked only if it is at the host that the
 * page names: a person would take any other for the stranger's own (RFC 7591 §5).
 */
export function links(client: ShownClient & Links): Link[] {
  const pages = [
    ['website', client.uri],
    ['privacyPolicy', client.policyUri],
    ['termsOfService', client.tosUri],
  ] as const
  return pages.flatMap(([kind, uri]) => {
    const url = uri === undefined ? null : URL.parse(uri)
    // Escaping does not stop `javascript:` in an href.
    if (!url || !/^https?:$/.test(url.protocol)) return []
    const isLinked = client.isReviewed || url.host === knownHost(client)
    return [{ kind, host: url.host, href: isLinked ? url.href : undefined }]
  })
}
