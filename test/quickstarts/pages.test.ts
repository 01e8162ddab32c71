import { execFile } from 'node:child_process'
import { globSync } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { environment } from '../../src/config/index.ts'
import { repository } from '../examples/example.ts'
import { createCertificate } from '../support/certificate.ts'
import { blocksOf } from './blocks.ts'

const run = promisify(execFile)
const pages = globSync('docs/quickstarts/*.md', { cwd: repository })
const read = (page: string) => readFile(join(repository, page), 'utf8')

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'postern-pages-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

const isThere = (program: string) =>
  run('sh', ['-c', `command -v ${program}`], { env: { PATH: `${process.env['PATH']}:/usr/sbin` } }).then(
    () => true,
    () => false,
  )

test('the list of quickstarts contains all of them', async () => {
  const list = await read('docs/quickstarts/README.md')
  for (const page of pages) {
    if (!page.endsWith('README.md')) expect(list).toContain(`](${page.split('/').at(-1)})`)
  }
})

describe.each(pages)('%s', (page) => {
  test('is short', async () => {
    expect((await read(page)).split('\n').length).toBeLessThan(100)
  })

  test('names only settings that exist', async () => {
    const known = Object.keys(environment.in.shape)
    for (const block of [...(await blocksOf(page, 'sh'))]) {
      for (const [, name = ''] of block.matchAll(/^([A-Z][A-Z_]+)=/gm)) expect(known).toContain(name)
    }
  })

  test('links to pages and sections that exist', async () => {
    for (const [, target = '', section] of (await read(page)).matchAll(/\]\((?!https:)([^)#]*)(?:#([^)]+))?\)/g)) {
      const text = await read(join('docs/quickstarts', target)).catch((error) =>
        error.code === 'EISDIR' ? '' : 'none',
      )
      expect([target, text]).not.toEqual([target, 'none'])
      const sections = [...text.matchAll(/^#+ (.+)$/gm)].map(([, title = '']) =>
        title
          .toLowerCase()
          .replace(/[^\w -]/g, '')
          .replaceAll(' ', '-'),
      )
      if (section !== undefined) expect([target, sections]).toEqual([target, expect.arrayContaining([section])])
    }
  })
})

const [hasNginx, hasSystemd] = await Promise.all(['nginx', 'systemd-analyze'].map(isThere))

describe('a configuration shown in the quickstarts', () => {
  test.runIf(hasNginx)('is valid for nginx', async () => {
    const [shown = ''] = await blocksOf('docs/quickstarts/proxies.md', 'nginx')
    const file = join(folder, 'nginx.conf')
    const { cert, key } = createCertificate()
    await Promise.all([
      writeFile(join(folder, 'certificate.pem'), cert),
      writeFile(join(folder, 'certificate.key'), key),
    ])
    const server = shown.replaceAll('/etc/nginx/certificate', join(folder, 'certificate'))
    expect(server).toContain('listen 443 ssl;') // otherwise passwords would travel unencrypted
    const own = `pid ${folder}/nginx.pid; error_log stderr; events {} http { access_log off; ${server} }`
    await writeFile(file, own)
    const env = { PATH: `${process.env['PATH']}:/usr/sbin` }
    const { stderr } = await run('nginx', ['-t', '-p', folder, '-c', file], { env })
    expect(stderr).toContain('test is successful')
  })

  test.runIf(hasSystemd)('is valid for systemd', async () => {
    const unit = (await blocksOf('docs/quickstarts/systemd.md', 'ini')).find((block) => block.includes('[Service]'))
    const file = join(folder, 'postern.service')
    await writeFile(file, String(unit).replace('User=postern\n', '')) // this machine has no such user
    const { stdout, stderr } = await run('systemd-analyze', ['verify', '--man=no', file]).catch((error) => error)
    expect(`${stdout}${stderr}`.split('\n').filter((line) => line.includes('postern.service'))).toEqual([])
  })
})
