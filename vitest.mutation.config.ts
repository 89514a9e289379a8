import { defineConfig } from 'vitest/config'
import standard from './vitest.config.ts'

/** The tests that mutation testing runs for each mutant: the fast ones. */
export default defineConfig({
  ...standard,
  test: { ...standard.test, include: ['test/unit/**/*.test.ts'] },
})
