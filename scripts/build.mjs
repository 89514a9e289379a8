// `npm run build`: the sources as ESM and as CommonJS, each with its types, under dist/.
import { spawn } from 'node:child_process'
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))

rmSync(join(root, 'dist'), { recursive: true, force: true })
await Promise.all([compile('tsconfig.build.json'), compile('tsconfig.build.cjs.json')])
writeFileSync(join(root, 'dist', 'cjs', 'package.json'), '{ "type": "commonjs" }\n')

const missing = exportedFiles(JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))).filter(
  (file) => !existsSync(join(root, file)),
)
if (missing.length > 0) throw new Error(`package.json names files that the build did not make: ${missing.join(', ')}`)

/**
 * @param {string} project
 * @returns {Promise<void>}
 */
function compile(project) {
  const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc')
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [tsc, '-p', project], { cwd: root, stdio: 'inherit' })
    child.on('error', reject)
    child.on('close', (code) =>
      code === 0 ? resolve() : reject(new Error(`tsc -p ${project} ended with code ${code}`)),
    )
  })
}

/**
 * @param {{ main: string, types: string, exports: unknown }} manifest
 * @returns {string[]}
 */
function exportedFiles({ main, types, exports }) {
  /** @type {(value: unknown) => string[]} */
  const leaves = (value) => (typeof value === 'string' ? [value] : Object.values(value ?? {}).flatMap(leaves))
  return [main, types, ...leaves(exports)]
}
