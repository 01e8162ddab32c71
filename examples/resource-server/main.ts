import { start } from './app.ts'

const { CLIENT_ID, CLIENT_SECRET, ISSUER, PORT, HOST, RESOURCE } = process.env
const issuer = ISSUER || 'http://localhost:3000'
const port = Number(PORT || 4100)
const resource = RESOURCE || `http://localhost:${port}/api`

try {
  if (!CLIENT_ID || !CLIENT_SECRET) {
    throw new Error('Set CLIENT_ID and CLIENT_SECRET. README.md says how to register this API and get them.')
  }
  const host = HOST || '127.0.0.1'
  const { stop } = await start({ issuer, clientId: CLIENT_ID, clientSecret: CLIENT_SECRET, resource, host, port })
  console.log(`${resource}/protected accepts tokens of ${issuer}.`)
  process.on('SIGINT', stop).on('SIGTERM', stop)
} catch (error) {
  console.error(`The resource server could not start. ${explain(error as Error)}`)
  process.exitCode = 1
}

function explain({ message, code }: Error & { code?: string }): string {
  return code === 'EADDRINUSE' ? `Port ${port} is in use. Set PORT to another one.` : message
}
