// A real Redis for one test: its own process, port, directory and password, with faults as verbs.
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Certificate, createCertificate } from './certificates.js'
import { findRedis, type RedisDescriptor } from './find-redis.js'
import { guardDirectory } from './orphan-guard.js'
import { type ReservedPort, reservePort } from './ports.js'
import { AdminChannel } from './redis-admin.js'
import { ADMIN_USER, configFile, configWords, type RedisConfig, redisConfig } from './redis-config.js'
import { launchContainer } from './redis-container.js'
import { launchProcess, type RunningRedis } from './redis-process.js'
import { RespError, type RespValue } from './resp.js'
import { until } from './wait.js'

/** How to set up the server. By default: a free port, no password, nothing on disk, the default memory limit (none). */
export interface RedisOptions {
  /** A fixed port, for the caller to keep free; 0 for the unix socket alone. @default a reserved free one */
  readonly port?: number
  /** Keeps the data over kill and restart: every write is on disk before it is answered. @default false */
  readonly appendonly?: boolean
  readonly requirepass?: string
  /** As in redis.conf: `10mb`. The eviction policy stays `noeviction`. */
  readonly maxmemory?: string
  /** Serves TLS instead of plain TCP, with this certificate or one of its own ({@link RedisServer.ca}). Needs `openssl`. */
  readonly tls?: boolean | Certificate
  /** Runs as a Sentinel; `config` then holds its `sentinel …` lines. */
  readonly sentinel?: boolean
  /** Further lines of redis.conf; they come last and win. */
  readonly config?: RedisConfig
  /** Which Redis. @default what the global set-up found, else what a search finds */
  readonly server?: RedisDescriptor
}

/** How to bring a server back. */
export interface StartOptions {
  /** Configuration of this one run, over that of the server; `slowLoading` makes some. */
  readonly config?: RedisConfig
  /** `'answering'` resolves as soon as it replies at all, be it LOADING. @default 'ready' */
  readonly until?: 'ready' | 'answering'
}

/** What holds a server's data: since Redis 7 the append-only file is a directory. */
export const DATA_FILES: readonly string[] = ['appendonlydir', 'appendonly.aof', 'dump.rdb']

const START_MS = 20_000
const COMMAND_MS = 10_000
const PORT_ATTEMPTS = 20
const ADDRESS_IN_USE = /Address already in use|address already in use|port is already allocated/

/**
 * Starts a Redis of the test's own, ready when the promise resolves. It dies with the test process, however that ends.
 * `reserve` is where its port comes from.
 *
 * @example
 * ```ts
 * await using redis = await startRedis({ appendonly: true })
 * await redis.kill()
 * await redis.start()
 * ```
 */
export async function startRedis(options: RedisOptions = {}, reserve = () => reservePort()): Promise<RedisServer> {
  const descriptor = options.server ?? (await findRedis())
  for (let attempt = 1; ; attempt++) {
    const reserved = options.port === undefined ? await reserve() : { port: options.port, release: () => {} }
    const directory = await mkdtemp(join(tmpdir(), 'rss-'))
    const server = new RedisServer(descriptor, options, directory, reserved)
    try {
      await server.start()
      return server
    } catch (error) {
      await server.stop()
      // Only a port that we chose can be changed; somebody outside of our reservations has this one.
      if (options.port !== undefined || attempt === PORT_ATTEMPTS || !isAddressInUse(error)) throw error
    }
  }
}

type State =
  | { readonly phase: 'down' }
  | { readonly phase: 'up' | 'paused'; readonly running: RunningRedis }
  | { readonly phase: 'stopped' }

/** One Redis. A verb that does not apply (resuming a server that runs) is an error: a fault that does not bite is one. */
export class RedisServer implements AsyncDisposable {
  /** 0 when it listens on its unix socket alone. It stays the same over every restart. */
  readonly port: number
  readonly host = '127.0.0.1'
  readonly socketPath: string
  readonly #descriptor: RedisDescriptor
  readonly #options: RedisOptions
  readonly #directory: string
  readonly #unguard: () => void
  readonly #reserved: ReservedPort
  readonly #adminPassword = randomBytes(16).toString('hex')
  #certificate: Certificate | undefined
  #configured = false
  #state: State = { phase: 'down' }
  readonly #admin: AdminChannel

  /** For {@link startRedis}. */
  constructor(descriptor: RedisDescriptor, options: RedisOptions, directory: string, reserved: ReservedPort) {
    this.port = reserved.port
    this.socketPath = join(directory, 's')
    this.#descriptor = descriptor
    this.#options = options
    this.#directory = directory
    this.#unguard = guardDirectory(directory)
    this.#reserved = reserved
    // A unix socket in our own directory cannot be another server's.
    const target = this.#sharesSockets ? { path: this.socketPath } : { host: this.host, port: this.port }
    this.#admin = new AdminChannel(target, this.#credentials)
  }

  /** The server's version: `7.0.15`. */
  get version(): string {
    return this.#descriptor.version
  }

  /** The certificate to trust (`tls: { ca }`), with the option `tls`. */
  get ca(): string | undefined {
    return this.#certificate?.ca
  }

  /** For `new Redis(url)`, with the password; the path of the unix socket when there is no port. */
  get url(): string {
    if (this.port === 0) return this.socketPath
    const { requirepass, tls } = this.#options
    const credentials = requirepass === undefined ? '' : `:${encodeURIComponent(requirepass)}@`
    return `${tls ? 'rediss' : 'redis'}://${credentials}${this.host}:${this.port}`
  }

  /** The server's process. @throws {Error} while it is down. */
  get pid(): number {
    return this.#running('have a pid').pid
  }

  /** Whether it runs and is not paused. */
  get up(): boolean {
    return this.#state.phase === 'up' && !this.#state.running.gone
  }

  /** Starts it again on the same port, with the data it kept. */
  async start({ config = {}, until: goal = 'ready' }: StartOptions = {}): Promise<void> {
    if (this.#state.phase === 'stopped') throw new Error('this Redis was stopped for good')
    if (!this.#sharesSockets && (this.port === 0 || this.#options.tls)) {
      throw new Error('unix sockets and TLS need a redis-server that runs outside of a virtual machine')
    }
    if (this.#state.phase !== 'down' && !this.#state.running.gone) throw new Error(`${this.#name} is running already`)
    this.#admin.drop()
    await this.#writeConfig()
    const running = await this.#launch([...configWords(config), ...(this.#options.sentinel ? ['--sentinel'] : [])])
    this.#state = { phase: 'up', running }
    await this.#untilAnswering(running, goal)
  }

  /** SIGKILL: like a crash or a killed container. Resolves when the process is gone. */
  async kill(): Promise<void> {
    await this.#running('be killed').kill()
    this.#state = { phase: 'down' }
    this.#admin.drop()
  }

  /** SIGTERM: an orderly shutdown, after which {@link start} brings it back. */
  async shutdown(): Promise<void> {
    await this.#running('be shut down').terminate()
    this.#state = { phase: 'down' }
    this.#admin.drop()
  }

  /** An orderly shutdown and a start. */
  async restart(options: StartOptions = {}): Promise<void> {
    await this.shutdown()
    await this.start(options)
  }

  /** SIGSTOP: it accepts connections and never answers. */
  async pause(): Promise<void> {
    const running = this.#running('be paused')
    if (this.#state.phase === 'paused') throw new Error(`${this.#name} is paused already`)
    await running.pause()
    this.#state = { phase: 'paused', running }
  }

  /** SIGCONT: it goes on with whatever its clients have sent meanwhile. */
  async resume(): Promise<void> {
    const running = this.#running('be resumed')
    if (this.#state.phase !== 'paused') throw new Error(`${this.#name} is not paused`)
    await running.resume()
    this.#state = { phase: 'up', running }
  }

  /** Deletes its data, while it is down: it comes back empty, with the role and the cluster it had. */
  async wipe(): Promise<void> {
    if (this.#state.phase !== 'down') throw new Error(`${this.#name} is running and keeps its data`)
    for (const file of DATA_FILES) await rm(join(this.#directory, file), { recursive: true, force: true })
  }

  /** Ends it for good, whatever its state, and removes its files. More calls do nothing. */
  async stop(): Promise<void> {
    const state = this.#state
    if (state.phase === 'stopped') return
    this.#state = { phase: 'stopped' }
    // What is in its memory matters to nobody now.
    if (state.phase !== 'down' && !state.running.gone) await state.running.kill()
    this.#admin.drop()
    this.#reserved.release()
    await rm(this.#directory, { recursive: true, force: true })
    this.#unguard()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }

  /**
   * Sends a command over a connection of its own, held since the start, as a user of its own: it works while all clients
   * are refused or the password has changed. The type of the reply is the caller's claim.
   * @throws {RespError} for an error reply.
   */
  async cli<Reply extends RespValue = string>(...words: (string | number | Buffer)[]): Promise<Reply> {
    if (this.#state.phase === 'paused') throw new Error(`${this.#name} is paused and answers nothing`)
    return (await this.#admin.command(words, COMMAND_MS)) as Reply
  }

  /** A number of `INFO`, by its field: `await redis.info('connected_clients')`. */
  async info(field: string): Promise<string> {
    const lines = (await this.cli('INFO', 'everything')).split('\r\n')
    const found = lines.find((line) => line.startsWith(`${field}:`))
    if (found === undefined) throw new RangeError(`INFO has no field ${field}`)
    return found.slice(field.length + 1)
  }

  /** What the server has written to its log since its last start. */
  async log(): Promise<string> {
    return this.#running('be read').log()
  }

  /** Without the password, unlike the URL. */
  get #name(): string {
    return this.port === 0 ? `Redis on ${this.socketPath}` : `Redis on port ${this.port}`
  }

  #running(verb: string): RunningRedis {
    const state = this.#state
    if (state.phase === 'down' || state.phase === 'stopped' || state.running.gone) {
      throw new Error(`${this.#name} is not running and cannot ${verb}`)
    }
    return state.running
  }

  async #launch(words: readonly string[]): Promise<RunningRedis> {
    const spec = { directory: this.#directory, port: this.port, words }
    return this.#descriptor.kind === 'binary'
      ? launchProcess(this.#descriptor, spec)
      : launchContainer(this.#descriptor, spec)
  }

  async #untilAnswering(running: RunningRedis, goal: 'ready' | 'answering'): Promise<void> {
    const answers = async (): Promise<boolean> => {
      if (running.gone) throw new Error(`redis-server did not start: ${await running.log()}`)
      const reply = await this.#ping()
      // Any other error reply (MASTERDOWN, MISCONF) is an answer of a server that runs.
      return reply !== undefined && (goal === 'answering' || reply !== 'LOADING')
    }
    await until(answers, { timeoutMs: START_MS, what: `${this.#name} to be ${goal}` })
  }

  /** `PONG`, or the code of an error reply, or nothing when no reply came. */
  async #ping(): Promise<string | undefined> {
    try {
      return String(await this.#admin.command(['PING'], COMMAND_MS))
    } catch (error) {
      return error instanceof RespError ? error.code : undefined
    }
  }

  get #credentials(): readonly string[] {
    if (this.#hasAdminUser) return [ADMIN_USER, this.#adminPassword]
    return this.#options.requirepass ? [this.#options.requirepass] : []
  }

  get #sharesLoopback(): boolean {
    return this.#descriptor.kind === 'binary' || this.#descriptor.network === 'host'
  }

  /** Unix sockets work between all that run on one kernel; not with the virtual machine of a desktop engine. */
  get #sharesSockets(): boolean {
    return this.#sharesLoopback || process.platform === 'linux'
  }

  get #hasAdminUser(): boolean {
    // Redis takes its users from one place: an ACL file, or its configuration.
    return this.#options.config?.aclfile === undefined
  }

  /** Written once: what the server itself has changed in it (CONFIG REWRITE, a failover) is there after a restart. */
  async #writeConfig(): Promise<void> {
    if (this.#configured) return
    const { appendonly = false, sentinel = false, requirepass, maxmemory, config: extra = {} } = this.#options
    const { tls } = this.#options
    if (tls) this.#certificate = tls === true ? await createCertificate(this.#directory) : tls
    const config = redisConfig({
      directory: this.#directory,
      socketPath: this.socketPath,
      // A published port reaches a container from outside of its loopback.
      host: this.#sharesLoopback ? this.host : '0.0.0.0',
      port: this.port,
      majorVersion: Number.parseInt(this.#descriptor.version, 10),
      ...{ appendonly, sentinel, requirepass, maxmemory, extra },
      certificate: this.#certificate,
      adminPassword: this.#hasAdminUser ? this.#adminPassword : undefined,
    })
    await writeFile(join(this.#directory, 'redis.conf'), configFile(config))
    this.#configured = true
  }
}

function isAddressInUse(error: unknown): boolean {
  return error instanceof Error && ADDRESS_IN_USE.test(error.message)
}
