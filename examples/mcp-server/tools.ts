import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js'
import { z } from 'zod'

type Call = { params?: { name?: unknown } }

/** All that its tools take. */
export const scopes = ['notes:read', 'notes:write']

/** What every request needs, those that are about no tool included. */
export const needed = ['notes:read']

/**
 * What a token has to allow for each tool. A client that lacks something asks for what the challenge names, and gets a
 * token for that alone: so whoever may write may read, or the next token would be good for one tool and not the other.
 */
const scopesOf = new Map([
  ['list_notes', ['notes:read']],
  ['add_note', ['notes:read', 'notes:write']],
])

/** The scopes that the messages of a request need, of which there are several in a batch. */
export function scopesFor(body: unknown): string[] {
  const tools = [body].flat().map((message) => (message as Call | undefined)?.params?.name)
  return [...new Set([...needed, ...tools.flatMap((name) => scopesOf.get(String(name)) ?? [])])]
}

/** The tools, over the notes of one person. */
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
