import type { Certificate } from './certificates.js'

/** Values as in redis.conf; a list gives one line for each. */
export type RedisConfig = Readonly<Record<string, string | number | readonly string[]>>

/** What a configuration is made of. */
export interface ConfigParts {
  readonly directory: string
  readonly socketPath: string
  readonly host: string
  readonly port: number
  /** The server's major version decides which lines it knows. */
  readonly majorVersion: number
  readonly appendonly: boolean
  readonly sentinel: boolean
  readonly requirepass: string | undefined
  readonly maxmemory: string | undefined
  readonly certificate: Certificate | undefined
  /** The password of {@link ADMIN_USER}; undefined for no such user. */
  readonly adminPassword: string | undefined
  /** Comes last and wins. */
  readonly extra: RedisConfig
}

/** The user of the tests' own connection: a password that changes does not lock them out. */
export const ADMIN_USER = 'test-admin'

/** The whole configuration of a server for tests: loopback only, nothing on disk unless asked for, DEBUG allowed. */
export function redisConfig(parts: ConfigParts): RedisConfig {
  const { certificate, maxmemory, port, requirepass } = parts
  return {
    ...{ bind: parts.host, 'protected-mode': 'no', dir: parts.directory },
    ...{ unixsocket: parts.socketPath, unixsocketperm: '700' },
    // A replica need not wait 5 s for others that may want the same copy.
    'repl-diskless-sync-delay': 0,
    ...(certificate === undefined ? { port } : tlsConfig(port, certificate)),
    // Redis 6 has no such line and refuses to start with it; DEBUG is always allowed there.
    ...(parts.majorVersion >= 7 && { 'enable-debug-command': 'yes' }),
    ...(parts.adminPassword !== undefined && { user: `${ADMIN_USER} on >${parts.adminPassword} ~* &* +@all` }),
    ...(!parts.sentinel && { save: '', appendonly: parts.appendonly ? 'yes' : 'no', appendfsync: 'always' }),
    ...(requirepass !== undefined && { requirepass }),
    ...(maxmemory !== undefined && { maxmemory, 'maxmemory-policy': 'noeviction' }),
    ...parts.extra,
  }
}

/** Makes a start last, by so many microseconds per key, and the server answer LOADING meanwhile. */
export function slowLoading(microseconds: number): RedisConfig {
  // By default it looks at its connections only after every 2 MB.
  return { 'key-load-delay': microseconds, 'loading-process-events-interval-bytes': 1_024 }
}

/** As the text of a redis.conf. */
export function configFile(config: RedisConfig): string {
  const lines = Object.entries(config).flatMap(([name, value]) =>
    valuesOf(value).map((one) => `${name} ${one || '""'}`),
  )
  return `${lines.join('\n')}\n`
}

/** As words of the command line, which override the file. */
export function configWords(config: RedisConfig): string[] {
  return Object.entries(config).flatMap(([name, value]) =>
    valuesOf(value).flatMap((one) => [`--${name}`, ...one.split(' ')]),
  )
}

function tlsConfig(port: number, { keyFile, certFile }: Certificate): RedisConfig {
  return {
    ...{ port: 0, 'tls-port': port, 'tls-auth-clients': 'no' },
    ...{ 'tls-key-file': keyFile, 'tls-cert-file': certFile, 'tls-ca-cert-file': certFile },
  }
}

function valuesOf(value: string | number | readonly string[]): readonly string[] {
  return typeof value === 'object' ? value : [String(value)]
}
