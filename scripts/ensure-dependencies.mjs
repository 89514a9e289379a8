import { spawn } from 'node:child_process'
import { existsSync, lstatSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))

/**
 * Makes `node_modules` hold what `package-lock.json` says; does nothing when it does already. Needs nothing but Node
 * and npm, so that it can run on a fresh clone.
 *
 * @param {{ log?: (line: string) => void }} [options]
 * @returns {Promise<void>}
 */
export async function ensureDependencies({ log = console.log } = {}) {
  const major = Number(process.versions.node.split('.')[0])
  if (major < 20) throw new Error(`Node 20 or newer is needed, this is ${process.version}`)
  const reason = whyStale()
  if (reason === undefined) return
  if (isLinked(join(root, 'node_modules'))) {
    log(`Using the linked node_modules as it is (${reason}): npm ci would empty it for whoever it belongs to`)
    return
  }
  log(`Installing dependencies with \`npm ci\` (${reason}) ...`)
  await npmCi()
}

/** @param {string} path */
function isLinked(path) {
  return lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === true
}

/**
 * Compares the lockfile with the record that npm keeps of what it installed.
 *
 * @returns {string | undefined} why `node_modules` cannot be used as it is
 */
function whyStale() {
  const installedRecord = join(root, 'node_modules', '.package-lock.json')
  if (!existsSync(installedRecord)) return 'node_modules is absent'
  const wanted = readPackages(join(root, 'package-lock.json'))
  const installed = readPackages(installedRecord)
  for (const [path, entry] of Object.entries(wanted)) {
    if (path === '') continue
    const present = installed[path]
    // Optional packages are mostly binaries for other platforms: absent is right for all but one of them.
    if (present === undefined && (entry.optional || entry.devOptional)) continue
    if (present?.version !== entry.version || present?.integrity !== entry.integrity) {
      return 'node_modules does not match package-lock.json'
    }
  }
  return undefined
}

/**
 * @typedef {{ version?: string, integrity?: string, optional?: boolean, devOptional?: boolean }} LockEntry
 *
 * @param {string} file
 * @returns {Record<string, LockEntry>}
 */
function readPackages(file) {
  return JSON.parse(readFileSync(file, 'utf8')).packages
}

/** @returns {Promise<void>} */
function npmCi() {
  // NODE_ENV=production in the environment would leave the development tools out.
  const args = ['ci', '--include=dev', '--no-audit', '--no-fund', '--loglevel=error']
  return new Promise((resolve, reject) => {
    const npm = spawn('npm', args, {
      cwd: root,
      stdio: ['ignore', 'inherit', 'inherit'],
      shell: process.platform === 'win32',
    })
    npm.on('error', (cause) => reject(new Error('npm could not be started: is it installed?', { cause })))
    npm.on('close', (code) => (code === 0 ? resolve() : reject(new Error(`npm ci ended with code ${code}`))))
  })
}
