import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

const sbin = { PATH: `${process.env['PATH']}:/usr/sbin` } // nginx is there, outside the PATH of an ordinary user

// `npm test` needs only Node.js. In CI, where a run must be complete, a missing nginx is a failure.
export const hasNginx = process.env['CI'] !== undefined || spawnSync('nginx', ['-v'], { env: sbin }).status === 0

export type Nginx = {
  child: ChildProcess
  /** Returns everything it wrote to its standard streams. */
  written(): string
}

/** Starts nginx with deploy/nginx.conf, but at this port and in front of these ports. */
export async function startNginx(
  folder: string,
  { port, upstreams }: { port: number; upstreams: Record<string, number> },
): Promise<Nginx> {
  const path = fileURLToPath(new URL('../../deploy/nginx.conf', import.meta.url))
  let conf = (await readFile(path, 'utf8'))
    .replace('listen 8080;', `listen 127.0.0.1:${port};`)
    .replace('/tmp/nginx.pid', join(folder, 'nginx.pid'))
  for (const [name, upstream] of Object.entries(upstreams)) {
    conf = conf.replace(`server ${name}:3000 `, `server 127.0.0.1:${upstream} `)
  }
  await mkdir(folder, { recursive: true })
  await writeFile(join(folder, 'nginx.conf'), conf)
  const args = ['-p', folder, '-c', join(folder, 'nginx.conf'), '-g', 'daemon off;']
  const child = spawn('nginx', args, { env: sbin, stdio: ['ignore', 'pipe', 'pipe'] })
  let written = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (chunk: string) => {
      written += chunk
    })
  }
  const failed = once(child, 'error').then(([error]) => String(error))
  for (const deadline = Date.now() + 120_000; ; await sleep(50)) {
    const answer = await fetch(`http://127.0.0.1:${port}/health/live`).catch(() => undefined)
    if (answer?.status === 404) return { child, written: () => written }
    const error = await Promise.race([failed, Promise.resolve(undefined)])
    if (error || child.exitCode !== null || Date.now() > deadline) {
      throw new Error(`nginx, which stands in front of the replicas, did not start: ${error ?? written}`)
    }
  }
}
