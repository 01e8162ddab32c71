/** A link back to where the person came from, with the name or the host that it leads to. */
export type Back = { href: string; name: string }
