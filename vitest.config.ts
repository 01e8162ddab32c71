import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { defineConfig } from 'vitest/config'
import { BaseSequencer, type TestSpecification } from 'vitest/node'
import { chromiumPath } from './test/support/chromium-path.ts'
import { drills, quick, slow, text } from './test/support/kinds.ts'

// Where Node and npm are all there is, the tests that drive a browser are left out, aloud. In CI they fail instead.
const hasBrowser = process.env['CI'] !== undefined || existsSync(chromiumPath)
if (!hasBrowser) process.stderr.write(`There is no Chromium at ${chromiumPath}: the browser tests are left out.\n`)
const inBrowser = hasBrowser ? [] : ['test/browser/**']

// Most of what a short process does is to compile. It is done once.
process.env['NODE_COMPILE_CACHE'] ??= join(import.meta.dirname, 'node_modules/.cache/node')

const globalSetup = ['test/support/global-setup.ts']

// Test files share the modules of their worker, instead of loading all of them again. A file undoes what it does to them.
const together = { isolate: false, restoreMocks: true, unstubGlobals: true, unstubEnvs: true }

/** Sorts as usual, by what the files took before or by their size, except that slow files come first. */
class SlowFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const isSlow = ({ moduleId }: TestSpecification) => slow.some((file) => moduleId.endsWith(`/${file}`))
    const sorted = await super.sort(files)
    return [...sorted.filter(isSlow), ...sorted.filter((file) => !isSlow(file))]
  }
}

export default defineConfig({
  test: {
    projects: [
      { extends: true, test: { name: 'text', include: text } },
      { extends: true, test: { name: 'quick', include: quick, ...together } },
      {
        extends: true,
        test: {
          name: 'postern',
          include: ['test/**/*.test.ts'],
          exclude: [...text, ...quick, ...drills, ...inBrowser],
          globalSetup,
          ...together,
        },
      },
      { extends: true, test: { name: 'drills', include: drills, exclude: inBrowser, globalSetup } },
    ],
    setupFiles: ['src/runtime.ts'],
    // Only so that a test which hangs ends. A busy machine must not fail one that does not.
    testTimeout: 300_000,
    hookTimeout: 300_000,
    expect: { poll: { timeout: 120_000, interval: 20 } },
    maxWorkers: 4, // of two processors: many tests mostly wait
    sequence: { sequencer: SlowFirst },
    maxConcurrency: 24, // of tests that say so themselves; they mostly wait

    reporters: ['default'],
  },
})
