import { readFileSync } from 'node:fs'

/** The version in package.json. */
export const version: string = (() => {
  const path = import.meta.filename.endsWith('.ts') ? '../../package.json' : '../../../package.json'
  return JSON.parse(readFileSync(new URL(path, import.meta.url), 'utf8')).version
})()
