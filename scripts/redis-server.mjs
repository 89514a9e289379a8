// Finds a Redis for the tests, the demo and the chaos runs, so that each of them is one command on a bare machine.
// Plain Node without dependencies: it runs before `npm ci`. As a script it prints what it found as JSON.
import { execFile } from 'node:child_process'
import { accessSync, constants, realpathSync, statSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { pathToFileURL } from 'node:url'

/**
 * A redis-server (or valkey-server) on this machine.
 * @typedef {{ kind: 'binary', path: string, version: string }} RedisBinary
 */

/**
 * An image that holds a redis-server, and the engine that runs it.
 * `network`: 'host' where a container can share the host's loopback, 'published' where ports must be published.
 * `user`: the id to run as so that files in a mounted directory are ours (0 where the engine maps it to us).
 * @typedef {{
 *   kind: 'container', engine: string, image: string, version: string, network: 'host' | 'published', user: string
 * }} RedisContainer
 */

/** @typedef {RedisBinary | RedisContainer} RedisDescriptor */

/**
 * What the search looks at; each part can be replaced in a test. `engineMs`: how long an engine may take to answer.
 * @typedef {{
 *   log?: (line: string) => void, env?: Record<string, string | undefined>, uid?: number, platform?: string,
 *   engineMs?: number
 * }} Surroundings
 */

/** @typedef {{ code: number, stdout: string, stderr: string }} Outcome */

/** Used when `REDIS_IMAGE` names no other; docker-compose.yml has the same. */
export const DEFAULT_IMAGE = 'redis:7.4-bookworm'

/** Starts the server of an image, whatever it is called there; the words after `redis` are its arguments. */
export const CONTAINER_ENTRYPOINT = [
  '-c',
  'exec "$(command -v redis-server || command -v valkey-server)" "$@"',
  'redis',
]

const SERVER_NAMES = ['redis-server', 'valkey-server']
const ENGINES = ['docker', 'podman']
const SHELL = '/bin/sh'

// A package may install into a directory that the caller's PATH leaves out.
const USUAL_DIRECTORIES = ['/usr/bin', '/usr/local/bin', '/usr/sbin', '/opt/homebrew/bin']

const COMMAND_ANSWERS_MS = 5_000
const CONTAINER_RUNS_MS = 30_000
const PULL_MS = 300_000
const INSTALL_MS = 600_000

// Debian's package starts a server on port 6379 and enables it at boot. policy-rc.d is Debian's own way to forbid the
// start (invoke-rc.d and deb-systemd-invoke both ask it; RUNLEVEL=1 is heeded by the first alone). Ours speaks of
// redis only, so one that outlives a killed run does no harm, and one that was already there is left alone.
const APT_SCRIPT = `
set -e
export DEBIAN_FRONTEND=noninteractive
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  trap 'rm -f "$policy"' EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
  cat >"$policy" <<'POLICY'
#!/bin/sh
# Written while the tests of resilient-session-store install redis-server; safe to delete.
case " $* " in *" redis-server"*) exit 101 ;; esac
exit 0
POLICY
  chmod 755 "$policy"
fi
apt-get -o DPkg::Lock::Timeout=120 update || echo "apt-get update failed, using the package lists at hand" >&2
apt-get -o DPkg::Lock::Timeout=120 install -y --no-install-recommends redis-server
if [ -d /run/systemd/system ]; then
  systemctl disable --now redis-server.service || true
elif command -v update-rc.d >/dev/null; then
  update-rc.d redis-server disable || true
fi
`

/** Package managers in the order they are looked for. Only Debian's starts a service by itself. */
const PACKAGE_MANAGERS = [
  { command: 'apt-get', script: APT_SCRIPT, as: 'root' },
  { command: 'apk', script: 'apk add redis || apk add valkey', as: 'root' },
  { command: 'dnf', script: 'dnf install -y redis || dnf install -y valkey', as: 'root' },
  { command: 'brew', script: 'brew install redis', as: 'user' },
]

/**
 * Finds a Redis server, or gets one: `REDIS_SERVER` (a path), then `PATH`, then a container engine that answers (image
 * `REDIS_IMAGE`), then the system's package manager where this user may use it. Nothing it installs is left running.
 * @param {Surroundings} [surroundings]
 * @returns {Promise<RedisDescriptor>}
 * @throws {Error} saying what was tried and what to install, when there is none.
 */
export async function ensureRedisServer(surroundings = {}) {
  const search = {
    log: surroundings.log ?? (() => {}),
    env: surroundings.env ?? process.env,
    uid: surroundings.uid ?? process.getuid?.() ?? -1,
    platform: surroundings.platform ?? process.platform,
    engineMs: surroundings.engineMs ?? COMMAND_ANSWERS_MS,
    /** @type {string[]} */
    tried: [],
  }

  const found =
    (await namedServer(search)) ??
    (await serverInPath(search)) ??
    (await serverInContainer(search)) ??
    (await installedServer(search))
  if (found === undefined) throw new Error(whatToInstall(search.tried))
  return found
}

/** @typedef {Required<Surroundings> & { tried: string[] }} Search */

/**
 * An explicit choice is not second-guessed: if it does not work, nothing else is tried.
 * @param {Search} search
 * @returns {Promise<RedisBinary | undefined>}
 */
async function namedServer({ env, log }) {
  const named = env.REDIS_SERVER
  if (!named) return undefined
  const path = named.includes('/') ? named : findCommand(named, pathOf(env))
  const version = path && (await serverVersion(path, env))
  if (!path || !version) throw new Error(`REDIS_SERVER is ${named}, which does not run as a Redis server`)
  log(`redis: using ${path} ${version} (REDIS_SERVER)`)
  return { kind: 'binary', path, version }
}

/**
 * @param {Search} search
 * @param {string[]} [alsoIn]
 * @returns {Promise<RedisBinary | undefined>}
 */
async function serverInPath({ env, log, tried }, alsoIn = []) {
  for (const name of SERVER_NAMES) {
    const path = findCommand(name, [...pathOf(env), ...alsoIn])
    if (path === undefined) continue
    const version = await serverVersion(path, env)
    if (version !== undefined) {
      log(`redis: using ${path} ${version}`)
      return { kind: 'binary', path, version }
    }
    tried.push(`PATH: ${path} does not run`)
  }
  tried.push(`PATH: no working ${SERVER_NAMES.join(', no working ')}`)
  return undefined
}

/**
 * @param {Search} search
 * @returns {Promise<RedisContainer | undefined>}
 */
async function serverInContainer(search) {
  const image = search.env.REDIS_IMAGE || DEFAULT_IMAGE
  for (const name of ENGINES) {
    const engine = findCommand(name, pathOf(search.env))
    const refusal = engine === undefined ? 'not installed' : await refusalOf(name, engine, search)
    if (engine === undefined || refusal !== undefined) {
      search.tried.push(`${name}: ${refusal}`)
      continue
    }
    const version = await imageVersion(engine, image, search)
    if (version === undefined) continue
    search.log(`redis: using image ${image} ${version} through ${name}`)
    return { kind: 'container', engine, image, version, ...(await engineTraits(name, engine, search)) }
  }
  return undefined
}

/**
 * Why this engine cannot be used; only an answered call proves one, since a socket file outlives its daemon.
 * @param {string} name
 * @param {string} engine
 * @param {Search} search
 * @returns {Promise<string | undefined>}
 */
async function refusalOf(name, engine, { env, engineMs }) {
  const host = env.DOCKER_HOST ?? ''
  if (name === 'docker' && host !== '' && !host.startsWith('unix://')) return 'DOCKER_HOST is another machine'
  const query =
    name === 'docker' ? ['version', '--format', '{{.Server.Version}}'] : ['info', '--format', '{{.Host.OS}}']
  const answer = await run(engine, query, { env, timeoutMs: engineMs })
  return answer.code === 0 && answer.stdout.trim() !== '' ? undefined : 'installed, but the engine does not answer'
}

/**
 * The version of the server inside the image, which is pulled if it is not here; undefined if there is none to run.
 * @param {string} engine
 * @param {string} image
 * @param {Search} search
 */
async function imageVersion(engine, image, { env, log, tried }) {
  const present = await run(engine, ['image', 'inspect', image], { env, timeoutMs: CONTAINER_RUNS_MS })
  if (present.code !== 0) {
    log(`redis: pulling image ${image} with ${engine}`)
    const pulled = await run(engine, ['pull', image], { env, timeoutMs: PULL_MS })
    if (pulled.code !== 0) {
      tried.push(`${engine}: image ${image} is not here and cannot be pulled: ${lastLine(pulled.stderr)}`)
      return undefined
    }
  }
  const words = ['run', '--rm', '--network', 'none', '--entrypoint', 'sh', image, ...CONTAINER_ENTRYPOINT, '--version']
  const ran = await run(engine, words, { env, timeoutMs: CONTAINER_RUNS_MS })
  const version = parseVersion(ran.stdout)
  if (version === undefined) tried.push(`${engine}: image ${image} does not run a server: ${lastLine(ran.stderr)}`)
  return version
}

/**
 * Whether containers of this engine see the host's loopback, and which user they must run as.
 * @param {string} name
 * @param {string} engine
 * @param {Search} search
 * @returns {Promise<Pick<RedisContainer, 'network' | 'user'>>}
 */
async function engineTraits(name, engine, { env, uid, platform }) {
  const linux = platform === 'linux'
  if (name === 'podman') return { network: linux ? 'host' : 'published', user: '0' }
  const info = await run(engine, ['info', '--format', '{{.OperatingSystem}} {{.SecurityOptions}}'], {
    env,
    timeoutMs: CONTAINER_RUNS_MS,
  })
  const rootless = info.stdout.includes('rootless')
  const virtual = info.stdout.includes('Docker Desktop')
  return {
    network: linux && !rootless && !virtual ? 'host' : 'published',
    user: rootless || uid < 0 ? '0' : String(uid),
  }
}

/**
 * @param {Search} search
 * @returns {Promise<RedisBinary | undefined>}
 */
async function installedServer(search) {
  const { env, uid, log, tried } = search
  const manager = PACKAGE_MANAGERS.find(({ command }) => findCommand(command, pathOf(env)) !== undefined)
  if (manager === undefined) {
    tried.push(`package manager: none of ${PACKAGE_MANAGERS.map(({ command }) => command).join(', ')}`)
    return undefined
  }
  const prefix = await privilege(manager.as, uid, env)
  if (prefix === undefined) {
    tried.push(
      `${manager.command}: ${manager.as === 'root' ? 'needs root or passwordless sudo' : 'must not run as root'}`,
    )
    return undefined
  }
  log(`redis: none found, installing one with ${[...prefix, manager.command].join(' ')} (takes up to a minute)`)
  const [command = SHELL, ...words] = [...prefix, SHELL, '-c', manager.script]
  const installed = await run(command, words, { env, timeoutMs: INSTALL_MS, killSignal: 'SIGTERM' })
  if (installed.code !== 0) {
    tried.push(`${manager.command}: failed: ${lastLine(installed.stderr)}`)
    return undefined
  }
  return serverInPath(search, USUAL_DIRECTORIES)
}

/**
 * The words to put before a command so that it runs as `who`, or undefined where this user may not.
 * @param {string} who
 * @param {number} uid
 * @param {Record<string, string | undefined>} env
 * @returns {Promise<string[] | undefined>}
 */
async function privilege(who, uid, env) {
  if (who === 'user') return uid === 0 ? undefined : []
  if (uid === 0) return []
  const sudo = findCommand('sudo', pathOf(env))
  if (sudo === undefined) return undefined
  const asked = await run(sudo, ['-n', 'true'], { env, timeoutMs: COMMAND_ANSWERS_MS })
  return asked.code === 0 ? [sudo, '-n'] : undefined
}

/** @param {string[]} tried */
function whatToInstall(tried) {
  return [
    'No Redis server was found and none could be installed. Do one of these:',
    '  - install one: apt-get install redis-server (Debian, Ubuntu), apk add redis (Alpine),',
    '    dnf install redis (Fedora), brew install redis (macOS)',
    '  - name one: REDIS_SERVER=/path/to/redis-server',
    `  - start Docker or Podman; REDIS_IMAGE names the image (default ${DEFAULT_IMAGE})`,
    'Tried:',
    ...tried.map((line) => `  - ${line}`),
  ].join('\n')
}

/** @param {Record<string, string | undefined>} env */
function pathOf(env) {
  return (env.PATH ?? '').split(delimiter).filter((directory) => directory !== '')
}

/**
 * @param {string} name
 * @param {string[]} directories
 */
function findCommand(name, directories) {
  return directories.map((directory) => join(directory, name)).find(isExecutable)
}

/** @param {string} path */
function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK)
    return statSync(path).isFile()
  } catch {
    return false
  }
}

/**
 * @param {string} path
 * @param {Record<string, string | undefined>} env
 */
async function serverVersion(path, env) {
  return parseVersion((await run(path, ['--version'], { env, timeoutMs: COMMAND_ANSWERS_MS })).stdout)
}

/** @param {string} text `Redis server v=7.0.15 sha=…` */
function parseVersion(text) {
  return /server v=(\d+\.\d+\.\d+)/.exec(text)?.[1]
}

/** @param {string} text */
function lastLine(text) {
  return text.trim().split('\n').at(-1) ?? ''
}

/**
 * Runs a command to its end; never throws. One that cannot start has code 127, one out of time is killed.
 * @param {string} command
 * @param {string[]} words
 * @param {{ env: Record<string, string | undefined>, timeoutMs: number, killSignal?: NodeJS.Signals }} options
 * @returns {Promise<Outcome>}
 */
function run(command, words, { env, timeoutMs, killSignal = 'SIGKILL' }) {
  return new Promise((resolve) => {
    const options = { env: /** @type {NodeJS.ProcessEnv} */ (env), timeout: timeoutMs, maxBuffer: 64 * 1024 * 1024 }
    const child = execFile(command, words, { ...options, killSignal }, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : 127
      const why = error?.killed ? `\nno answer within ${timeoutMs} ms` : ''
      resolve({ code, stdout, stderr: stderr === '' && error !== null ? error.message + why : stderr + why })
    })
    child.stdin?.end()
  })
}

const isScript = process.argv[1] !== undefined && import.meta.url === pathToFileURL(realpathSync(process.argv[1])).href
if (isScript) {
  try {
    const found = await ensureRedisServer({ log: (line) => process.stderr.write(`${line}\n`) })
    process.stdout.write(`${JSON.stringify(found)}\n`)
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : error}\n`)
    process.exitCode = 1
  }
}
