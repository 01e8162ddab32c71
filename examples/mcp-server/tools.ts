import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js'
import { z } from 'zod'

type Call = { params?: { name?: unknown } }

/** The scopes of all tools. */
export const scopes = ['notes:read', 'notes:write']

/** The scopes that every request needs, even one that uses no tool. */
export const needed = ['notes:read']

/**
 * The scopes that each tool needs. A client that lacks one requests exactly the scopes in the challenge, and gets a
 * token for these alone. So writing includes reading; otherwise the next token would work for one tool and not the
 * other.
 */
const scopesOf = new Map([
  ['list_notes', ['notes:read']],
  ['add_note', ['notes:read', 'notes:write']],
])

/** Returns the scopes that the messages of a request need. A batch has several messages. */
export function scopesFor(body: unknown): string[] {
  const tools = [body].flat().map((message) => (message as Call | undefined)?.params?.name)
  return [...new Set([...needed, ...tools.flatMap((name) => scopesOf.get(String(name)) ?? [])])]
}

/** Creates the tools for the notes of one person. */
export function createTools(notes: string[]): McpServer {
  const server = new McpServer({ name: 'notes', version: '1.0.0' })
  const answer = (text: string) => ({ content: [{ type: 'text' as const, text }] })

  server.registerTool('list_notes', { description: 'Lists your notes' }, () => answer(notes.join('\n') || 'No notes.'))
  server.registerTool(
    'add_note',
    { description: 'Adds a note', inputSchema: { text: z.string().min(1).max(1_000) } },
    ({ text }) => answer(`You have ${notes.push(text)} notes.`),
  )
  return server
}
