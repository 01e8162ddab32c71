import { defineConfig } from 'vitest/config'

// Tests of the source text: they need no database, and `npm run check` runs them alone.
const ofText = ['test/architecture.test.ts', 'test/documentation.test.ts']

export default defineConfig({
  test: {
    projects: [
      { extends: true, test: { name: 'text', include: ofText } },
      {
        extends: true,
        test: {
          name: 'postern',
          include: ['test/**/*.test.ts'],
          exclude: ofText,
          globalSetup: ['test/support/global-setup.ts'],
        },
      },
    ],
    setupFiles: ['src/runtime.ts'],
    testTimeout: 60_000,
    hookTimeout: 120_000,
    maxWorkers: 2,
    reporters: ['default'],
  },
})
