// `npm run check:snippets`: compiles every ```ts and ```js block of README.md and docs/, and of the doc comments in
// src/, against the sources. An HTML comment that starts with `<!-- snippet` and stands right before a block adds its
// other lines to that block: declarations that a reader does not need to see.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))

/**
 * @typedef {{ source: string, line: number, language: 'ts' | 'js', code: string }} Snippet `code` has the snippet at
 *   the lines it has in its source, so that the compiler's line numbers are right.
 */

const sources = [...files('README.md', '.md'), ...files('docs', '.md'), ...files('src', '.ts')]
const snippets = sources.flatMap(snippetsOf)
mkdirSync(join(root, '.tmp'), { recursive: true })
const directory = mkdtempSync(join(root, '.tmp', 'snippets-'))
try {
  // JavaScript readers do not annotate their parameters.
  const failures = compile('ts', {}) + compile('js', { noImplicitAny: false })
  if (snippets.length === 0) console.error('No snippets found.')
  else
    console.log(
      `${snippets.length} snippets in ${new Set(snippets.map((s) => s.source)).size} files: ${failures} errors`,
    )
  process.exitCode = failures > 0 || snippets.length === 0 ? 1 : 0
} finally {
  rmSync(directory, { recursive: true, force: true })
}

/**
 * @param {string} path
 * @param {string} extension
 * @returns {string[]}
 */
function files(path, extension) {
  if (path.endsWith(extension)) return existsSync(join(root, path)) ? [path] : []
  if (!existsSync(join(root, path))) return []
  return readdirSync(join(root, path), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith(extension))
    .map((name) => join(path, name))
}

/**
 * @param {string} source
 * @returns {Snippet[]}
 */
function snippetsOf(source) {
  const inComments = source.endsWith('.ts')
  const lines = readFileSync(join(root, source), 'utf8')
    .split('\n')
    .map((line) => (inComments ? line.replace(/^\s*\* ?/, '') : line))
  /** @type {Snippet[]} */
  const found = []
  /** @type {string[]} lines of a `<!-- snippet` comment, at their own line numbers */
  let setup = []
  for (let index = 0; index < lines.length; index++) {
    const line = lines[index] ?? ''
    if (/^<!-- snippet\b/.test(line)) {
      const end = lines.findIndex((other, at) => at >= index && other.includes('-->'))
      if (end === -1) throw new Error(`${source}:${index + 1}: this comment is not closed`)
      setup = [...Array(index + 1).fill(''), ...lines.slice(index + 1, end)]
      index = end
      continue
    }
    const fence = /^(?<indent>\s*)(?<ticks>`{3,})(?<language>\w*)/.exec(line)?.groups
    if (fence === undefined) {
      if (line.trim() !== '') setup = []
      continue
    }
    const end = lines.findIndex((other, at) => at > index && other.trim() === fence.ticks)
    if (end === -1) throw new Error(`${source}:${index + 1}: this code block is not closed`)
    const language = { ts: 'ts', typescript: 'ts', js: 'js', javascript: 'js' }[fence.language ?? '']
    if (language === 'ts' || language === 'js') {
      const before = Array.from({ length: index + 1 }, (_, at) => setup[at] ?? '')
      found.push({
        source,
        line: index + 1,
        language,
        code: [...before, ...lines.slice(index + 1, end), ''].join('\n'),
      })
    }
    setup = []
    index = end
  }
  return found
}

/**
 * @param {'ts' | 'js'} language
 * @param {Record<string, unknown>} compilerOptions
 * @returns {number} errors
 */
function compile(language, compilerOptions) {
  const chosen = snippets.filter((snippet) => snippet.language === language)
  if (chosen.length === 0) return 0
  const names = chosen.map((snippet, index) => {
    const extension = language === 'js' && /\brequire\(/.test(snippet.code) ? 'cjs' : language
    const name = `${index}.${extension}`
    writeFileSync(join(directory, name), snippet.code)
    return name
  })
  const project = join(directory, `tsconfig.${language}.json`)
  writeFileSync(
    project,
    JSON.stringify({
      extends: join(root, 'tsconfig.json'),
      compilerOptions: { noUnusedLocals: false, noUnusedParameters: false, ...compilerOptions },
      files: names.map((name) => join(directory, name)),
      include: [],
    }),
  )
  const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc')
  const { stdout, stderr, status } = spawnSync(process.execPath, [tsc, '-p', project, '--pretty', 'false'], {
    cwd: root,
    encoding: 'utf8',
  })
  if (status === 0) return 0
  const output = `${stdout}${stderr}`
  let errors = 0
  for (const line of output.split('\n')) {
    const place = /^(?<file>[^(]+)\((?<position>\d+,\d+)\): error /.exec(line)?.groups
    if (place !== undefined) errors++
    const name = place && relative(directory, join(root, place.file ?? ''))
    const snippet = name === undefined ? undefined : chosen[names.indexOf(name)]
    const shown = snippet === undefined ? line : line.replace(/^[^:]+/, `${snippet.source}(${place?.position})`)
    if (line !== '') console.error(shown)
  }
  return Math.max(errors, 1)
}
