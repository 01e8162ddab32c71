import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { repository } from '../examples/example.ts'

/** Returns the code blocks of a page in one language, so that tests run the code that the page shows. */
export async function blocksOf(page: string, language: string): Promise<string[]> {
  const text = await readFile(join(repository, page), 'utf8')
  return [...text.matchAll(new RegExp(`^\`\`\`${language}\n([\\s\\S]+?)^\`\`\``, 'gm'))].map(([, code = '']) => code)
}
