import nunjucks from 'nunjucks'

const { SafeString } = nunjucks.runtime

/**
 * Fills the placeholders of a text for HTML: `{app} asks for access` with the markup of a name. Everything is escaped
 * but what a macro returns, which escaped its own values. A translator can therefore put a placeholder anywhere in a
 * sentence. Words between `**` are strong.
 */
export function fill(text: string, values: Record<string, unknown> = {}): object {
  const html = escaped(text)
    .replace(/\*\*(.+?)\*\*/g, '<strong>$1</strong>')
    .replace(/\{(\w+)\}/g, (_, name: string) => markup(name, values[name]))
  return new SafeString(html)
}

function markup(name: string, value: unknown): string {
  if (value === undefined || value === null) throw new Error(`A text has no value for its placeholder {${name}}.`)
  return value instanceof SafeString ? value.toString() : escaped(String(value))
}

const entities: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }

const escaped = (text: string) => text.replace(/[&<>"']/g, (character) => entities[character] ?? character)
