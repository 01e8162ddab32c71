import { execFile } from 'node:child_process'
import { cp, mkdir, readFile, stat } from 'node:fs/promises'
import { basename, join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { parse } from 'yaml'

const run = promisify(execFile)

/** The content of an image and how it runs, on this machine instead. */
export type Image = {
  /** The folder that is `WORKDIR` in the image. */
  folder: string
  env: Record<string, string>
  command: string[]
  healthcheck: string[]
  user: string
  stopSignal: string
  bases: string[]
}

type Stage = { root: string; workdir: string }

/**
 * Builds a Dockerfile without Docker: each stage is a folder, COPY copies and RUN runs. It knows only the instructions
 * of our Dockerfile, and throws at any other.
 */
export async function build(context: string, into: string): Promise<Image> {
  const allowed = await allowedInContext(context)
  const image: Image = { folder: '', env: {}, command: [], healthcheck: [], user: 'root', stopSignal: '', bases: [] }
  const stages = new Map<string, Stage>()
  let stage: Stage = { root: '', workdir: '' }
  const inside = (path: string) => join(stage.root, resolve(stage.workdir, path))

  async function copy(args: string[]): Promise<void> {
    const from = args[0]?.startsWith('--from=') ? stages.get(String(args.shift()).slice(7)) : undefined
    const target = String(args.pop())
    for (const source of args) {
      if (!from && !allowed.has(source)) throw new Error(`.dockerignore keeps ${source} out of the build`)
      const path = from ? join(from.root, source) : join(context, source)
      const isFolder = (await stat(path)).isDirectory()
      const destination = target.endsWith('/') && !isFolder ? join(inside(target), basename(source)) : inside(target)
      await cp(path, destination, { recursive: true })
    }
  }

  for (const { name, rest } of await instructions(join(context, 'Dockerfile'))) {
    const words = rest.split(/\s+/)
    if (name === 'FROM') {
      const [base = '', , alias = ''] = words
      image.bases.push(base)
      image.env = {}
      stage = { root: join(into, alias), workdir: '/' }
      stages.set(alias, stage)
    } else if (name === 'WORKDIR') {
      stage.workdir = rest
      await mkdir(inside('.'), { recursive: true })
    } else if (name === 'COPY') await copy(words)
    else if (name === 'RUN') {
      const command = rest.replace(/^(--mount=\S+\s+)*/, '')
      await run('sh', ['-c', command], { cwd: inside('.'), env: { ...surroundings(), ...image.env } })
    } else if (name === 'ENV') Object.assign(image.env, Object.fromEntries(words.map((word) => word.split('='))))
    else if (name === 'USER') image.user = rest
    else if (name === 'STOPSIGNAL') image.stopSignal = rest
    else if (name === 'CMD') image.command = JSON.parse(rest)
    else if (name === 'HEALTHCHECK') image.healthcheck = JSON.parse(rest.slice(rest.indexOf('[')))
    else if (name !== 'EXPOSE') throw new Error(`unknown instruction ${name}`)
  }
  return { ...image, folder: inside('.') }
}

/** Returns the parts of this process's environment that a program of ours needs, without our settings. */
export function surroundings(): Record<string, string> {
  const { PATH = '', HOME = '' } = process.env
  // Behind a proxy with a certificate authority of its own, npm cannot install without these.
  const authorities = ['NODE_EXTRA_CA_CERTS', 'SSL_CERT_FILE', 'SSL_CERT_DIR'].flatMap((name) => {
    const value = process.env[name]
    return value === undefined ? [] : [[name, value] as const]
  })
  const quietly = { npm_config_prefer_offline: 'true', npm_config_update_notifier: 'false' }
  return { PATH, HOME, ...quietly, ...Object.fromEntries(authorities) }
}

async function instructions(path: string): Promise<{ name: string; rest: string }[]> {
  const text = (await readFile(path, 'utf8')).replace(/^#.*\n/gm, '').replace(/\\\n\s*/g, '')
  return [...text.matchAll(/^([A-Z]+)\s+(.+)$/gm)].map(([, name = '', rest = '']) => ({ name, rest }))
}

async function allowedInContext(context: string): Promise<Set<string>> {
  const lines = (await readFile(join(context, '.dockerignore'), 'utf8')).split('\n')
  if (!lines.includes('*')) throw new Error('.dockerignore must list the files that it lets in')
  return new Set(lines.filter((line) => line.startsWith('!')).map((line) => line.slice(1)))
}

export type Service = {
  image?: string
  command?: string[]
  environment?: Record<string, string>
  depends_on?: Record<string, { condition: string }>
  volumes?: string[]
  ports?: string[]
  restart?: string
  stop_grace_period?: string
  user?: string
  cap_drop?: string[]
  cap_add?: string[]
  privileged?: boolean
  security_opt?: string[]
  read_only?: boolean
  tmpfs?: string[]
  secrets?: string[]
  networks?: string[]
}

export type Composition = {
  services: Record<string, Service>
  networks: Record<string, { internal?: boolean; ipam?: { config: { subnet: string }[] } }>
  secrets: Record<string, { file?: string }>
}

/** Reads docker-compose.yml, and fills in its variables as `docker compose` does. */
export async function readComposition(path: string, variables: Record<string, string>): Promise<Composition> {
  const text = (await readFile(path, 'utf8')).replace(
    /\$\{(\w+)(?::([-?])([^}]*))?\}/g,
    (_, name: string, kind: string, rest: string) => {
      const value = variables[name]
      if (value) return value
      if (kind === '?') throw new Error(`${name} ${rest}`)
      return rest ?? ''
    },
  )
  return parse(text, { merge: true })
}
