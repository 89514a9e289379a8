import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'
import { childEnvironment, libraryVersions } from './scripts/library-versions.mjs'

const libraries = libraryVersions(process.env)

export default defineConfig({
  resolve: {
    alias: [
      ...libraries.map((library) => ({
        find: new RegExp(`^${library.name}(/.*)?$`),
        replacement: `${library.package}$1`,
      })),
      { find: /^resilient-session-store$/, replacement: source('index.ts') },
      { find: /^resilient-session-store\/prometheus$/, replacement: source('prometheus.ts') },
    ],
  },
  test: {
    environment: 'node',
    globalSetup: ['test/support/global-setup.ts'],
    include: [
      'test/unit/**/*.test.ts',
      'test/integration/**/*.test.ts',
      'chaos/**/*.test.ts',
      'test/model/**/*.test.ts',
    ],
    pool: 'forks',
    maxWorkers: 2,
    retry: 0,
    testTimeout: 60_000,
    hookTimeout: 30_000,
    teardownTimeout: 10_000,
    // test/unit/library-versions.test.ts checks that tests and their child processes really got these.
    env: {
      ...Object.fromEntries(libraries.map((library) => [`TESTED_${library.name.toUpperCase()}`, library.version])),
      ...childEnvironment(libraries),
    },
  },
})

function source(file: string): string {
  return fileURLToPath(new URL(`./src/${file}`, import.meta.url))
}
