// `npm run bench`: compiles the sources as they are published (a loader's helpers would be measured with them) and runs
// bench/main.ts on the Node that runs this. Arguments go on to it.
import { spawnSync } from 'node:child_process'
import { rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ensureDependencies } from './ensure-dependencies.mjs'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const out = join(root, '.tmp', 'bench')

await ensureDependencies()
rmSync(out, { recursive: true, force: true })
const steps = [
  [join(root, 'node_modules', 'typescript', 'bin', 'tsc'), '-p', 'tsconfig.bench.json'],
  [
    '--import',
    new URL('closed-pipe.mjs', import.meta.url).href,
    join(out, 'bench', 'main.js'),
    ...process.argv.slice(2),
  ],
]
for (const step of steps) {
  const { status } = spawnSync(process.execPath, step, { cwd: root, stdio: 'inherit' })
  process.exitCode = status ?? 1
  if (status !== 0) break
}
