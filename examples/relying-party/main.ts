import { start } from './app.ts'

const { CLIENT_ID, CLIENT_SECRET, ISSUER, PORT, HOST, BASE_URL, API_URL } = process.env
const issuer = ISSUER || 'http://localhost:3000'
const port = Number(PORT || 4000)
const baseUrl = BASE_URL || `http://localhost:${port}`

try {
  if (!CLIENT_ID || !CLIENT_SECRET) {
    throw new Error('Set CLIENT_ID and CLIENT_SECRET. README.md says how to register this app and get them.')
  }
  const { stop } = await start({
    issuer,
    clientId: CLIENT_ID,
    clientSecret: CLIENT_SECRET,
    baseUrl,
    apiUrl: API_URL || undefined,
    host: HOST || '127.0.0.1',
    port,
  })
  console.log(`Open ${baseUrl} to sign in at ${issuer}.`)
  process.on('SIGINT', stop).on('SIGTERM', stop)
} catch (error) {
  console.error(`The relying party could not start. ${explain(error as Error)}`)
  process.exitCode = 1
}

function explain({ message, cause, ...error }: Error & { code?: string }): string {
  const { code, message: reason } = (cause ?? {}) as { code?: string; message?: string }
  if (error.code === 'EADDRINUSE') return `Port ${port} is in use. Set PORT to another one.`
  if (code === 'ECONNREFUSED') return `No provider answers at ${issuer}. Start it with npm start, or set ISSUER.`
  return [message, reason].filter(Boolean).join(': ')
}
