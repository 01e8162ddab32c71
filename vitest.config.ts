import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { defineConfig } from 'vitest/config'
import { chromiumPath } from './test/support/chromium-path.ts'

// Tests of the source text, and of the engine alone: they need no database, and `npm run check` runs just these.
const ofText = [
  'test/architecture.test.ts',
  'test/documentation.test.ts',
  'test/cli/documented-commands.test.ts',
  'test/oidc/engine.test.ts',
]

// Where Node and npm are all there is, the tests that drive a browser are left out, aloud. In CI they fail instead.
const hasBrowser = process.env['CI'] !== undefined || existsSync(chromiumPath)
if (!hasBrowser) process.stderr.write(`There is no Chromium at ${chromiumPath}: the browser tests are left out.\n`)
const inBrowser = hasBrowser ? [] : ['test/browser/**']

// Most of what a short process does is to compile. It is done once.
process.env['NODE_COMPILE_CACHE'] ??= join(import.meta.dirname, 'node_modules/.cache/node')

export default defineConfig({
  test: {
    projects: [
      { extends: true, test: { name: 'text', include: ofText } },
      {
        extends: true,
        test: {
          name: 'postern',
          include: ['test/**/*.test.ts'],
          exclude: [...ofText, ...inBrowser],
          globalSetup: ['test/support/global-setup.ts'],
        },
      },
    ],
    setupFiles: ['src/runtime.ts'],
    testTimeout: 60_000,
    hookTimeout: 120_000,
    maxWorkers: 3, // of two processors: some tests mostly wait
    maxConcurrency: 24, // of tests that say so themselves; they mostly wait

    reporters: ['default'],
  },
})
