import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

// Beside src/ when Node.js runs the source, and beside dist/ when it runs dist/src/views/assets.js.
const root = join(import.meta.dirname, import.meta.filename.endsWith('.ts') ? '../..' : '../../..')

/** The directory of the templates. */
export const templates = join(root, 'templates')

/** The directory to serve at `/assets`. */
export const assets = join(templates, 'assets')

/** Returns a version that changes whenever an asset does, so browsers may keep their copies without asking again. */
export function versionOfAssets(): string {
  const hash = createHash('sha256')
  for (const file of readdirSync(assets).sort()) hash.update(file).update(readFileSync(join(assets, file)))
  return hash.digest('hex').slice(0, 12)
}

/** The scripts that pages may load. */
export const scripts = ['postern.js', 'proof.js', 'passkeys.js'] as const

/** Returns the hash of a script, as `integrity` and the content security policy have it (CSP 3 §8.4). */
export function integrityOf(script: (typeof scripts)[number]): string {
  const hash = createHash('sha256').update(readFileSync(join(assets, script)))
  return `sha256-${hash.digest('base64')}`
}
