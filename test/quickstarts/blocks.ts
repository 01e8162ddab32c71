import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { repository } from '../examples/example.ts'

/** The blocks of a page that are in one language, so that what is run is what is shown. */
export async function blocksOf(page: string, language: string): Promise<string[]> {
  const text = await readFile(join(repository, page), 'utf8')
  return [...text.matchAll(new RegExp(`^\`\`\`${language}\n([\\s\\S]+?)^\`\`\``, 'gm'))].map(([, code = '']) => code)
}
