/** A Docker engine, and an image with a Redis for it: whatever answers, else what scripts/ can start and make here. */
import { execFile, execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { CONTAINER_ENTRYPOINT, DEFAULT_IMAGE } from '../../test/support/find-redis.js'
import { guard, quote } from '../../test/support/orphan-guard.js'

const execute = promisify(execFile)

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const START_SCRIPT = `${ROOT}scripts/docker-engine.sh`
const IMAGE_SCRIPT = `${ROOT}scripts/redis-image.sh`
const LOCAL_IMAGE = 'resilient-session-store-redis:local'
const PULL_WITHIN = 120_000
const OUTPUT_LIMIT = 16 * 1024 * 1024

/** An engine that answers. */
export class DockerEngine {
  readonly image: string
  /** Of the Redis in the image. */
  readonly version: string
  readonly #env: NodeJS.ProcessEnv
  readonly #composeCommand: readonly string[]
  readonly #release: () => Promise<void>

  private constructor(
    parts: { readonly image: string; readonly version: string; readonly env: NodeJS.ProcessEnv },
    composeCommand: readonly string[],
    release: () => Promise<void>,
  ) {
    this.image = parts.image
    this.version = parts.version
    this.#env = { ...parts.env, REDIS_IMAGE: parts.image }
    this.#composeCommand = composeCommand
    this.#release = release
  }

  /** @throws {Error} saying why, where there is no engine and none can be started, or no image. */
  static async open(): Promise<DockerEngine> {
    const user = String(process.pid)
    const { stdout } = await execute(START_SCRIPT, ['start', user]).catch((error: { stderr?: string }) => {
      throw new Error(`no Docker engine: ${error.stderr?.trim() || error}`)
    })
    // Nobody else would end it if this process were killed.
    const unguard = guard(`${quote(START_SCRIPT)} stop ${user}`)
    const release = async (): Promise<void> => {
      unguard()
      await execute(START_SCRIPT, ['stop', user])
    }
    const host = stdout.trim()
    const env = host === '' ? process.env : { ...process.env, DOCKER_HOST: host }
    try {
      const image = await findImage(env)
      const words = [
        'run',
        '--rm',
        '--network',
        'none',
        '--entrypoint',
        'sh',
        image,
        ...CONTAINER_ENTRYPOINT,
        '--version',
      ]
      const version = /v=(\S+)/.exec((await execute('docker', words, { env })).stdout)?.[1]
      if (version === undefined) throw new Error(`the image ${image} does not run a Redis`)
      return new DockerEngine({ image, version, env }, composeCommand(env), release)
    } catch (error) {
      await release()
      throw error
    }
  }

  /** One `docker` command; resolves with its output. @throws {Error} with what it wrote to stderr. */
  async run(...words: readonly string[]): Promise<string> {
    return (await execute('docker', words, { env: this.#env, maxBuffer: OUTPUT_LIMIT })).stdout.trim()
  }

  /** One `docker compose` command of the project's file. */
  async compose(project: ComposeProject, ...words: readonly string[]): Promise<void> {
    const [command = '', ...all] = [...this.#composeWords(project), ...words]
    await execute(command, all, { env: { ...this.#env, ...project.env }, maxBuffer: OUTPUT_LIMIT })
  }

  /** Removes a project when this process ends, however it ends. Returns what calls it off. */
  guard(project: ComposeProject): () => void {
    const host = this.#env.DOCKER_HOST
    const words = [...this.#composeWords(project), 'down', '--volumes', '--timeout', '0']
    return guard(`${host === undefined ? '' : `DOCKER_HOST=${quote(host)} `}${words.map(quote).join(' ')}`)
  }

  close(): Promise<void> {
    return this.#release()
  }

  #composeWords({ name, profile }: ComposeProject): string[] {
    return [...this.#composeCommand, '-p', name, '-f', `${ROOT}docker-compose.yml`, '--profile', profile]
  }
}

/** One run of the compose file. */
export interface ComposeProject {
  readonly name: string
  readonly profile: string
  /** What the file leaves open. */
  readonly env: Readonly<Record<string, string>>
}

/** REDIS_IMAGE, else the public image, else one made of this machine's redis-server. */
async function findImage(env: NodeJS.ProcessEnv): Promise<string> {
  const present = (image: string): Promise<boolean> =>
    execute('docker', ['image', 'inspect', image], { env }).then(
      () => true,
      () => false,
    )
  const wanted = env.REDIS_IMAGE || DEFAULT_IMAGE
  if (await present(wanted)) return wanted
  try {
    await execute('docker', ['pull', wanted], { env, timeout: PULL_WITHIN })
    return wanted
  } catch (error) {
    // An explicit choice is not second-guessed.
    if (env.REDIS_IMAGE) throw error
    await execute(IMAGE_SCRIPT, [LOCAL_IMAGE], { env })
    return LOCAL_IMAGE
  }
}

function composeCommand(env: NodeJS.ProcessEnv): readonly string[] {
  try {
    execFileSync('docker', ['compose', 'version'], { env, stdio: 'ignore' })
    return ['docker', 'compose']
  } catch {
    return ['docker-compose']
  }
}
