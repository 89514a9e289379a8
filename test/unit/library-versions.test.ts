import { execFileSync } from 'node:child_process'
import ioredis from 'ioredis/package.json' with { type: 'json' }
import opossum from 'opossum/package.json' with { type: 'json' }
import { expect, test } from 'vitest'

const libraries = [
  {
    name: 'ioredis',
    loaded: ioredis.version,
    configured: process.env.TESTED_IOREDIS,
    asked: process.env.IOREDIS,
  },
  {
    name: 'opossum',
    loaded: opossum.version,
    configured: process.env.TESTED_OPOSSUM,
    asked: process.env.OPOSSUM,
  },
]

test.each(libraries)('$name is the version that was asked for', ({ loaded, configured, asked }) => {
  expect(loaded).toBe(configured)
  if (asked) expect(loaded.split('.')[0]).toBe(asked)
})

test.each(libraries)('a child process under tsx gets the same version of $name', ({ name, loaded }) => {
  const program = `import manifest from '${name}/package.json' with { type: 'json' }; process.stdout.write(manifest.version)`
  const args = ['--import', 'tsx', '--input-type=module', '--eval', program]
  expect(execFileSync(process.execPath, args, { encoding: 'utf8' })).toBe(loaded)
})
