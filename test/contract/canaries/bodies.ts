import { request } from 'node:http'
import { call } from '../../support/admin.ts'
import type { Scene } from '../../support/circulation.ts'
import type { Channels } from './channels.ts'
import { refusals } from './failures.ts'

const endpoints = [
  '/oauth/token',
  '/oauth/register',
  '/oauth/par',
  '/oauth/introspect',
  '/admin/api/clients',
  '/device',
]
const json = 'application/json'
const form = 'application/x-www-form-urlencoded'

/** Sends every endpoint bodies that cannot be read, with a secret in each. */
export async function sendUnreadable(scene: Scene, channels: Channels, bearer: string): Promise<void> {
  const asked = `/clients/${channels.marker(refusals)}` // it does not exist, and the answer names it
  channels.write(refusals, (await call(scene.postern, asked, { bearer })).text)
  for (const path of endpoints) {
    for (const { type, body, encoding } of bodies(scene)) {
      const headers = { 'content-type': type, ...(encoding && { 'content-encoding': encoding }) }
      channels.write(
        refusals,
        await post(scene.postern.issuer, path, { ...headers, authorization: `Bearer ${bearer}` }, body),
      )
    }
  }
}

function bodies({ canaries }: Scene): { type: string; body: Buffer; encoding?: string }[] {
  const secret = () => canaries.plant('secret in a body that cannot be read')
  const short = canaries.plant('secret in a body that cannot be read').slice(0, 16)
  const text = (value: string) => Buffer.from(value)
  const large = `"${'a'.repeat(600_000)}"`
  return [
    { type: json, body: text(short) },
    { type: json, body: text(`[${short}]`) }, // V8 quotes the whole of a text this short when it cannot parse it
    { type: json, body: text(`{"client_secret": ${secret()}`) },
    { type: json, body: text(`{"client_secret": "${secret()}"`) },
    { type: json, body: text(`"${secret()}"`) },
    { type: json, body: text(`{"client_secret": "${secret()}", "client_name": ${large}}`) },
    {
      type: json,
      body: Buffer.concat([text(`{"client_secret": "${secret()}`), Buffer.from([0xff, 0xfe]), text('"}')]),
    },
    { type: json, body: text(`{"client_secret": "${secret()}"}`), encoding: 'gzip' },
    { type: json, body: text(`{"client_secret": "${secret()}"}`), encoding: 'rot13' },
    { type: form, body: text(`client_secret=${secret()}&code=%ff%fe&client_secret=${secret()}`) },
    { type: form, body: text(`client_secret=${secret()}&client_name=${large}`) },
    { type: form, body: Buffer.concat([text(`client_secret=${secret()}`), Buffer.from([0xff, 0x00, 0xfe])]) },
    { type: form, body: text(Array.from({ length: 2_000 }, (_, index) => `a${index}=${short}`).join('&')) },
    { type: `${json}; charset=nonsense`, body: text(`{"client_secret": "${secret()}"}`) },
    { type: 'text/plain', body: text(secret()) },
    { type: 'multipart/form-data; boundary=x', body: text(`--x\r\n\r\n${secret()}`) },
  ]
}

/** Sends a request exactly as given: `fetch` would correct some of these. */
function post(issuer: string, path: string, headers: Record<string, string>, body: Buffer): Promise<string> {
  return new Promise((resolve, reject) => {
    const asked = request(new URL(path, issuer), { method: 'POST', headers, agent: false }, async (response) => {
      let text = ''
      for await (const chunk of response.setEncoding('utf8')) text += String(chunk)
      resolve(`${path} ${response.statusCode}\n${JSON.stringify(response.headers)}\n${text}`)
    })
    asked.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EPIPE' || error.code === 'ECONNRESET') resolve(`${path} ${error.code}`)
      else reject(error) // rejected before all of it was sent
    })
    asked.end(body)
  })
}
