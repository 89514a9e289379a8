/** @type {import('@stryker-mutator/api/core').PartialStrykerOptions} */
export default {
  mutate: [
    'src/policy.ts',
    'src/write-queue.ts',
    'src/revocations.ts',
    'src/provenance.ts',
    'src/reconcile.ts',
    'src/merge.ts',
    'src/replay.ts',
    'src/guarded-saves.ts',
    'src/redis/sessions.ts',
  ],
  testRunner: 'vitest',
  plugins: ['@stryker-mutator/vitest-runner'],
  vitest: { configFile: 'vitest.mutation.config.ts' },
  coverageAnalysis: 'perTest',
  concurrency: 2,
  // There is none of this name: Stryker would rewrite tsconfig.json by an API that TypeScript 7 no longer has.
  tsconfigFile: 'none',
  incremental: true,
  incrementalFile: '.tmp/mutation/incremental.json',
  tempDirName: '.tmp/mutation/sandbox',
  ignorePatterns: ['.tmp', 'dist', 'bench', 'docs'],
  reporters: ['clear-text', 'html'],
  clearTextReporter: { allowColor: false, logTests: false, reportTests: false },
  htmlReporter: { fileName: '.tmp/mutation/report.html' },
  thresholds: { high: 100, low: 100, break: 100 },
}
