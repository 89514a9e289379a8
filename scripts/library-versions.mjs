import { mkdirSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const require = createRequire(import.meta.url)

/** The versions that can be chosen, by environment variable, and the names under which they are installed. */
const choices = {
  ioredis: { variable: 'IOREDIS', standard: '6', packages: { 6: 'ioredis', 5: 'ioredis5' } },
  opossum: { variable: 'OPOSSUM', standard: '9', packages: { 9: 'opossum', 10: 'opossum10' } },
}

/**
 * The versions of the libraries that a test run is to use: `IOREDIS=5` and `OPOSSUM=10` choose the other ones.
 *
 * @param {NodeJS.ProcessEnv} env
 * @returns {{ name: string, package: string, version: string }[]}
 */
export function libraryVersions(env) {
  return Object.entries(choices).map(([name, { variable, standard, packages }]) => {
    const chosen = env[variable] || standard
    const installed = /** @type {Record<string, string>} */ (packages)[chosen]
    if (installed === undefined) {
      throw new RangeError(`${variable} must be one of ${Object.keys(packages).join(', ')}, not ${chosen}`)
    }
    return { name, package: installed, version: require(`${installed}/package.json`).version }
  })
}

/**
 * What a child process that runs TypeScript by `tsx` needs in its environment to get the same versions: tsx follows
 * the `paths` of a tsconfig. Nothing when the standard versions are in use.
 *
 * @param {{ name: string, package: string }[]} libraries
 * @returns {Record<string, string>}
 */
export function childEnvironment(libraries) {
  const other = libraries.filter((library) => library.package !== library.name)
  if (other.length === 0) return {}
  const paths = Object.fromEntries(
    other.flatMap((library) => [
      [library.name, [join(root, 'node_modules', library.package)]],
      [`${library.name}/*`, [join(root, 'node_modules', library.package, '*')]],
    ]),
  )
  const directory = join(root, 'node_modules', '.cache', 'library-versions')
  const file = join(directory, `tsconfig.${other.map((library) => library.package).join('-')}.json`)
  const ownName = {
    'resilient-session-store': [join(root, 'src', 'index.ts')],
    'resilient-session-store/*': [join(root, 'src', '*.ts')],
  }
  mkdirSync(directory, { recursive: true })
  writeFileSync(
    file,
    JSON.stringify({ extends: join(root, 'tsconfig.json'), compilerOptions: { paths: { ...ownName, ...paths } } }),
  )
  return { TSX_TSCONFIG_PATH: file }
}
