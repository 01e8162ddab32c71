/** Reads the size of an SVG from the attributes of its root; `undefined` if the file is something else. */
export function readSvg(bytes: Buffer): { type: 'image/svg+xml'; width: number; height: number } | undefined {
  const text = bytes.toString('utf8').replace(/^\ufeff?\s*(<\?xml[^>]*\?>|<!--[\s\S]*?-->|<!DOCTYPE[^>]*>|\s)*/i, '')
  const root = /^<svg\s[^>]*>/.exec(text)?.[0]
  // Browsers draw no SVG without its namespace.
  if (!root || !/\sxmlns\s*=\s*["']http:\/\/www\.w3\.org\/2000\/svg["']/.test(root)) return undefined
  const box = attribute(root, 'viewBox')
    ?.trim()
    .split(/[\s,]+/)
  const [width = 0, height = 0] =
    box?.length === 4 ? box.slice(2).map(Number) : [lengthOf(root, 'width'), lengthOf(root, 'height')]
  return width > 0 && height > 0 ? { type: 'image/svg+xml', width, height } : undefined
}

function attribute(root: string, name: string): string | undefined {
  return new RegExp(`\\s${name}\\s*=\\s*["']([^"']*)["']`).exec(root)?.[1]
}

function lengthOf(root: string, name: string): number {
  return Number(/^\s*(\d+(?:\.\d+)?)(?:px)?\s*$/.exec(attribute(root, name) ?? '')?.[1] ?? 0)
}
