// `npm run check:package`: packs the library and uses it as a stranger would. What is in the tarball, what publint and
// attw say about it, whether it can be imported, required and type-checked by a strict consumer.
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
const scratch = mkdtempSync(join(tmpdir(), 'resilient-session-store-package-'))
process.on('exit', () => rmSync(scratch, { recursive: true, force: true }))

step('npm pack')
run('npm', ['pack', '--pack-destination', scratch, '--loglevel=error'], { quiet: true })
const name = readdirSync(scratch).find((file) => file.endsWith('.tgz'))
if (name === undefined) fail('npm pack made no tarball')
const tarball = join(scratch, name)

step('contents of the tarball')
const contents = run('tar', ['-tzf', tarball], { quiet: true }).trim().split('\n')
const required = [
  ...['README.md', 'LICENSE', 'CHANGELOG.md', 'package.json'],
  ...['docs/monitoring/alerts.yml', 'docs/monitoring/dashboard.json'],
]
const allowed =
  /^package\/(dist\/(esm|cjs)\/.+\.(js|d\.ts)|dist\/cjs\/package\.json|docs\/monitoring\/(alerts\.yml|dashboard\.json)|(README|CHANGELOG)\.md|LICENSE|package\.json)$/
const stray = contents.filter((file) => !allowed.test(file))
if (stray.length > 0) fail(`the tarball holds files that do not belong there: ${stray.join(', ')}`)
const absent = required.filter((file) => !contents.includes(`package/${file}`))
if (absent.length > 0) fail(`the tarball lacks ${absent.join(', ')}`)
console.log(`${contents.length} files, ${Math.ceil(statSync(tarball).size / 1024)} KiB packed`)

step('publint')
run(process.execPath, [bin('publint'), 'run', tarball, '--strict'])

step('are the types wrong?')
run(process.execPath, [bin('@arethetypeswrong/cli', 'attw'), tarball, '--profile', 'node16', '--no-color'])

step('a project that installs it')
const consumer = join(scratch, 'consumer')
mkdirSync(consumer)
const needed = ['express-session', 'ioredis', '@types/express-session', '@types/node']
write('package.json', {
  name: 'consumer',
  private: true,
  dependencies: {
    ...Object.fromEntries(needed.map((dependency) => [dependency, manifest.devDependencies[dependency]])),
    [manifest.name]: `file:${tarball}`,
  },
})
install()
const opossum = JSON.parse(readFileSync(join(consumer, 'node_modules/opossum/package.json'), 'utf8')).version
console.log(`with opossum ${opossum}`)

step('ESM and CommonJS')
// A store for a Redis that is not there can be made, used and closed, and the process then ends by itself.
const use = `
  const store = new library.ResilientStore({ redis: 'redis://127.0.0.1:1' })
  store.get('some-session', (error, session) => {
    if (error?.code !== 'EREDISDOWN' || session) throw new Error('unexpected answer', { cause: error })
    store.close().then(() => console.log(Object.keys(library).sort().join(' ')))
  })`
write('use.mjs', `import * as library from '${manifest.name}'\n${use}\n`)
write('use.cjs', `const library = require('${manifest.name}')\n${use}\n`)
const esm = run(process.execPath, ['use.mjs'], { cwd: consumer, quiet: true })
const cjs = run(process.execPath, ['use.cjs'], { cwd: consumer, quiet: true })
if (esm !== cjs) fail(`ESM and CommonJS export different names:\n${esm}${cjs}`)
console.log(esm.trim())

step('a strict TypeScript consumer')
const rest = `
const store = new ResilientStore({ redis: 'redis://127.0.0.1:6379', prefix: 'shop:', onRedisDown: (error) => void error.code })
session({ secret: 'a secret of the shop', resave: false, saveUninitialized: false, store })
export const done: Promise<unknown> = store.close()
`
write('esm.mts', `import session from 'express-session'\nimport { ResilientStore } from '${manifest.name}'\n${rest}`)
write(
  'cjs.cts',
  `import session = require('express-session')\nimport library = require('${manifest.name}')\nconst { ResilientStore } = library\n${rest}`,
)
const tsconfig = {
  compilerOptions: {
    target: 'es2022',
    lib: ['es2022', 'esnext.disposable'],
    types: ['node'],
    module: 'nodenext',
    moduleResolution: 'nodenext',
    strict: true,
    exactOptionalPropertyTypes: true,
    skipLibCheck: false,
    noEmit: true,
  },
  files: ['esm.mts', 'cjs.cts'],
}
write('tsconfig.json', tsconfig)
// An older compiler comes with attw; consumers have those.
const attw = createRequire(createRequire(join(root, 'package.json')).resolve('@arethetypeswrong/cli/package.json'))
const compilers = [
  join(root, 'node_modules/typescript/package.json'),
  createRequire(attw.resolve('@arethetypeswrong/core')).resolve('typescript/package.json'),
]
compileConsumer()

step('metrics, without prom-client and with it')
const scrape = `
  const store = new library.ResilientStore({ redis: 'redis://127.0.0.1:1' })
  metrics.collectMetrics(store).then(
    async () => (await import('prom-client')).register.metrics(),
    (error) => \`\${error.message} (\${error.cause?.code?.replace('ERR_', '')})\`,
  ).then((text) => console.log(text.match(/npm install.*|^session_store_connected.*/m)?.[0] ?? text)).finally(() => store.close())`
write(
  'metrics.mjs',
  `import * as library from '${manifest.name}'\nimport * as metrics from '${manifest.name}/prometheus'\n${scrape}\n`,
)
write(
  'metrics.cjs',
  `const library = require('${manifest.name}')\nconst metrics = require('${manifest.name}/prometheus')\n${scrape}\n`,
)
expectScrapes('npm install prom-client (MODULE_NOT_FOUND)')
install(`prom-client@${manifest.devDependencies['prom-client']}`)
expectScrapes('session_store_connected{master=""} 0')
const collect = `
const stop: Promise<() => void> = collectMetrics(new ResilientStore(), { prefix: 'shop_', labels: { store: 'users' } })
export { stop }
`
write(
  'esm.mts',
  `import { ResilientStore } from '${manifest.name}'\nimport { collectMetrics } from '${manifest.name}/prometheus'\n${collect}`,
)
write(
  'cjs.cts',
  `import library = require('${manifest.name}')\nimport metrics = require('${manifest.name}/prometheus')\nconst { ResilientStore } = library\nconst { collectMetrics } = metrics\n${collect}`,
)
compileConsumer()
console.log('\nThe package is as it should be.')

/** @param {string} title */
function step(title) {
  console.log(`\n== ${title}`)
}

/** @param {string[]} packages by default what the consumer's package.json names */
function install(...packages) {
  run('npm', ['install', ...packages, '--no-audit', '--no-fund', '--prefer-offline', '--loglevel=error'], {
    cwd: consumer,
  })
}

/** @param {string} expected what both kinds of consumer are to write */
function expectScrapes(expected) {
  for (const file of ['metrics.mjs', 'metrics.cjs']) {
    const written = run(process.execPath, [file], { cwd: consumer, quiet: true }).trim()
    if (written !== expected) fail(`${file} wrote ${written} in place of ${expected}`)
  }
  console.log(expected)
}

function compileConsumer() {
  for (const typescript of compilers) {
    console.log(`TypeScript ${JSON.parse(readFileSync(typescript, 'utf8')).version}`)
    run(process.execPath, [join(dirname(typescript), 'bin', 'tsc'), '-p', '.'], { cwd: consumer })
  }
}

/**
 * @param {string} command
 * @param {string[]} args
 * @param {{ cwd?: string, quiet?: boolean }} [options] `quiet` shows the output only when the command fails
 * @returns {string} what it wrote to its standard output
 */
function run(command, args, { cwd = root, quiet = false } = {}) {
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    cwd,
    encoding: 'utf8',
    timeout: 300_000,
    shell: process.platform === 'win32' && command === 'npm',
  })
  if (!quiet || status !== 0) process.stdout.write(`${stdout}${stderr}`)
  if (status !== 0) fail(`${command} ${args.join(' ')} failed: ${error?.message ?? `code ${status}`}`)
  return stdout
}

/**
 * The file behind a command of an installed package.
 *
 * @param {string} dependency
 * @param {string} [command]
 */
function bin(dependency, command = dependency) {
  const directory = join(root, 'node_modules', dependency)
  const { bin } = JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8'))
  return join(directory, typeof bin === 'string' ? bin : bin[command])
}

/**
 * @param {string} file
 * @param {unknown} content
 */
function write(file, content) {
  writeFileSync(join(consumer, file), typeof content === 'string' ? content : `${JSON.stringify(content, null, 2)}\n`)
}

/**
 * @param {string} message
 * @returns {never}
 */
function fail(message) {
  console.error(`\n${message}`)
  process.exit(1)
}
