import { start } from './app.ts'

const { ISSUER, PORT, HOST, RESOURCE } = process.env
const issuer = ISSUER || 'http://localhost:3000'
const port = Number(PORT || 4200)
const resource = RESOURCE || `http://localhost:${port}/mcp`

try {
  const { stop } = await start({ issuer, resource, host: HOST || '127.0.0.1', port })
  console.log(`${resource} accepts tokens of ${issuer}.`)
  process.on('SIGINT', stop).on('SIGTERM', stop)
} catch (error) {
  console.error(`The MCP server could not start. ${explain(error as Error)}`)
  process.exitCode = 1
}

function explain({ message, code }: Error & { code?: string }): string {
  return code === 'EADDRINUSE' ? `Port ${port} is in use. Set PORT to another one.` : message
}
