import type { Page } from 'playwright-core'

type Value = { value?: unknown }
type Node = {
  nodeId: string
  parentId?: string
  childIds?: string[]
  ignored: boolean
  role?: Value
  name?: Value
  description?: Value
  value?: Value
  properties?: { name: string; value: Value }[]
}

/** Roles without words of their own. */
const silent = new Set([
  'none',
  'generic',
  'paragraph',
  'LabelText',
  'InlineTextBox',
  'RootWebArea',
  'LineBreak',
  'strong',
  'ListMarker',
  'image',
])
/** Roles whose texts are one line, however many elements they are in. */
const lineOf = new Set(['paragraph', 'LabelText', 'listitem', 'DisclosureTriangle'])
/** Roles that a screen reader reads as one thing, with their name. */
const whole = new Set(['heading', 'link', 'button', 'textbox', 'checkbox', 'combobox'])
const states = ['required', 'invalid', 'disabled', 'expanded', 'readonly', 'focused']

/**
 * Reads a page aloud, as lines: everything that a screen reader says between the top and the bottom, in its order. Its
 * source is the accessibility tree of Chromium, which screen readers use too.
 */
export async function readAloud(page: Page): Promise<string> {
  const session = await page.context().newCDPSession(page)
  const { nodes } = (await session.send('Accessibility.getFullAXTree')) as unknown as { nodes: Node[] }
  await session.detach()
  const byId = new Map(nodes.map((node) => [node.nodeId, node]))
  const root = nodes.find(({ parentId }) => parentId === undefined)
  const lines: string[] = [`page: ${String(root?.name?.value ?? '')}`]

  let last: Node | undefined // the element that the last line is the text of

  function say(node: Node, depth: number, within?: Node): void {
    const role = String(node.role?.value ?? '')
    const name = String(node.name?.value ?? '').trim()
    if (role === 'Legend') return // the name of its group
    if (!node.ignored && role === 'StaticText') {
      if (!name) return
      if (within && within === last) lines.push(`${lines.pop()}${/^[.,:;]/.test(name) ? '' : ' '}${name}`)
      else lines.push(`${'  '.repeat(depth)}${name}`)
      last = within
      return
    }
    const around = lineOf.has(role) ? node : within
    const isSaid = !node.ignored && !silent.has(role)
    if (isSaid) {
      lines.push(`${'  '.repeat(depth)}${line(node, role, name)}`)
      last = undefined
    }
    if (isSaid && whole.has(role)) return
    for (const id of node.childIds ?? []) {
      const child = byId.get(id)
      if (child) say(child, isSaid ? depth + 1 : depth, around)
    }
  }

  if (root) for (const id of root.childIds ?? []) say(byId.get(id) as Node, 0)
  return `${lines.join('\n')}\n`
}

function line({ properties = [], value, description }: Node, role: string, name: string): string {
  const has = (property: string) => properties.find((one) => one.name === property)?.value.value
  const level = has('level')
  const checked = has('checked')
  return [
    role === 'heading' ? `heading ${level}` : role.toLowerCase(),
    name && `“${name}”`,
    ...(checked === undefined ? [] : [checked === 'true' || checked === true ? 'checked' : 'not checked']),
    ...states.filter((state) => has(state) !== undefined && has(state) !== false && has(state) !== 'false'),
    value?.value !== undefined && value.value !== '' && `value “${String(value.value)}”`,
    description?.value ? `description “${String(description.value)}”` : '',
  ]
    .filter(Boolean)
    .join(', ')
}
