import { execFile } from 'node:child_process'
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { DESCRIPTOR_VARIABLE, ensureRedisServer, findRedis } from '../../support/find-redis.js'

// The search runs real commands; these stand in for them in a PATH of their own, and write down how they were called.
let bin: string
let lines: string[]

beforeEach(() => {
  bin = mkdtempSync(join(tmpdir(), 'rss-bin-'))
  lines = []
})
afterEach(() => rmSync(bin, { recursive: true }))

const SERVER = 'echo "Redis server v=7.2.4 sha=00000000:0 malloc=libc bits=64"'
const ENGINE = `case "$1" in
  version) echo 25.0 ;;
  info) echo "Debian [name=seccomp]" ;;
  image) exit 0 ;;
  run) ${SERVER} ;;
esac`

function command(name: string, body: string): string {
  const path = join(bin, name)
  writeFileSync(path, `#!/bin/sh\necho "${name} $*" >>"${bin}/calls"\n${body}\n`)
  chmodSync(path, 0o755)
  return path
}

function calls(): string {
  const file = join(bin, 'calls')
  return existsSync(file) ? readFileSync(file, 'utf8') : ''
}

interface Here {
  readonly env?: Record<string, string>
  readonly uid?: number
  readonly platform?: string
  readonly engineMs?: number
}

function search({ env = {}, ...here }: Here = {}): ReturnType<typeof ensureRedisServer> {
  const log = (line: string): void => void lines.push(line)
  return ensureRedisServer({ uid: 1000, platform: 'linux', ...here, env: { PATH: bin, ...env }, log })
}

describe('a server on this machine', () => {
  it('is taken from PATH, under either name', async () => {
    const path = command('valkey-server', 'echo "Valkey server v=8.0.1 sha=0"')
    expect(await search()).toEqual({ kind: 'binary', path, version: '8.0.1' })
    const redis = command('redis-server', SERVER)
    expect(await search()).toEqual({ kind: 'binary', path: redis, version: '7.2.4' })
    expect(lines.at(-1)).toBe(`redis: using ${redis} 7.2.4`)
  })

  it('is the one that REDIS_SERVER names, by path or by name', async () => {
    command('redis-server', SERVER)
    const other = command('my-redis', 'echo "Redis server v=6.2.0 sha=0"')
    for (const name of [other, 'my-redis']) {
      expect(await search({ env: { REDIS_SERVER: name } })).toMatchObject({ path: other, version: '6.2.0' })
    }
  })

  it('is not replaced by another when REDIS_SERVER does not run', async () => {
    command('redis-server', SERVER)
    command('broken', 'exit 1')
    for (const name of ['/nowhere/redis-server', 'unheard-of', 'broken']) {
      await expect(search({ env: { REDIS_SERVER: name } })).rejects.toThrow(`REDIS_SERVER is ${name}`)
    }
  })

  it('is passed over when it does not run', async () => {
    command('redis-server', 'echo "error while loading shared libraries" >&2; exit 127')
    const path = command('valkey-server', 'echo "Valkey server v=8.0.1 sha=0"')
    expect(await search()).toMatchObject({ path })
  })
})

describe('a container engine', () => {
  it('is used when it answers and has the image', async () => {
    const engine = command('docker', ENGINE)
    const expected = { kind: 'container', engine, version: '7.2.4', network: 'host', user: '1000' }
    expect(await search({ env: { REDIS_IMAGE: 'mine:1' } })).toEqual({ ...expected, image: 'mine:1' })
    expect((await search()).kind).toBe('container')
    expect(calls()).not.toContain('docker pull')
  })

  it('pulls an image that is not here', async () => {
    command(
      'docker',
      ENGINE.replace('image) exit 0', `image) [ -e ${bin}/pulled ]`).replace('esac', `pull) : >${bin}/pulled ;; esac`),
    )
    expect(await search({ env: { REDIS_IMAGE: 'mine:1' } })).toMatchObject({ image: 'mine:1' })
    expect(calls()).toContain('docker pull mine:1')
    expect(lines[0]).toContain('pulling image mine:1')
  })

  it('is passed over when it does not answer, cannot pull, or is on another machine', async () => {
    command('docker', 'echo "Cannot connect to the Docker daemon" >&2; exit 1')
    await expect(search()).rejects.toThrow('docker: installed, but the engine does not answer')
    command(
      'docker',
      ENGINE.replace('image) exit 0', 'image) exit 1').replace('esac', 'pull) echo denied >&2; exit 1 ;; esac'),
    )
    await expect(search()).rejects.toThrow(/docker: image redis:\S+ is not here and cannot be pulled: denied/)
    command('docker', ENGINE)
    await expect(search({ env: { DOCKER_HOST: 'tcp://elsewhere:2375' } })).rejects.toThrow('another machine')
  })

  it('is passed over when its image holds no server', async () => {
    command('docker', ENGINE.replace(SERVER, 'echo "sh: not found" >&2; exit 127'))
    await expect(search()).rejects.toThrow('does not run a server: sh: not found')
  })

  it('is not waited for when it hangs', async () => {
    command('docker', 'exec /bin/sleep 60')
    await expect(search({ engineMs: 100 })).rejects.toThrow('docker: installed, but the engine does not answer')
  })

  it('gets its ports published where it does not share the loopback', async () => {
    command('docker', ENGINE)
    expect(await search({ platform: 'darwin' })).toMatchObject({ network: 'published', user: '1000' })
    command('docker', ENGINE.replace('seccomp', 'rootless'))
    expect(await search()).toMatchObject({ network: 'published', user: '0' })
    rmSync(join(bin, 'docker'))
    const engine = command('podman', ENGINE)
    expect(await search()).toMatchObject({ engine, network: 'host', user: '0' })
  })
})

describe('a package manager', () => {
  /** Stands in for a manager that puts a server into the PATH. */
  const INSTALL = (): string =>
    `printf '#!/bin/sh\\necho Redis server v=7.0.1 sha=0\\n' >${bin}/redis-server; /bin/chmod 755 ${bin}/redis-server`

  it('installs as root, and says so', async () => {
    command('apk', INSTALL())
    expect(await search({ uid: 0 })).toEqual({ kind: 'binary', path: join(bin, 'redis-server'), version: '7.0.1' })
    expect(calls()).toContain('apk add redis')
    expect(lines[0]).toMatch(/none found, installing one with apk/)
  })

  it('installs through sudo where that asks for no password', async () => {
    command('apk', INSTALL())
    command('sudo', 'shift; [ "$1" = true ] || exec "$@"')
    expect(await search({ uid: 1000 })).toMatchObject({ kind: 'binary' })
    expect(calls()).toMatch(/^sudo -n true$/m)
    expect(calls()).toMatch(/^sudo -n \/bin\/sh -c apk add redis/m)
  })

  it('is left alone without the right to use it', async () => {
    command('apt-get', 'exit 0')
    await expect(search()).rejects.toThrow('apt-get: needs root or passwordless sudo')
    command('sudo', 'echo "a password is required" >&2; exit 1')
    await expect(search()).rejects.toThrow('apt-get: needs root or passwordless sudo')
    expect(calls()).not.toContain('apt-get')
    rmSync(join(bin, 'apt-get'))
    command('brew', 'exit 0')
    await expect(search({ uid: 0 })).rejects.toThrow('brew: must not run as root')
  })

  it('that fails is named with its reason', async () => {
    command('apk', 'echo "ERROR: unable to select packages" >&2; exit 1')
    await expect(search({ uid: 0 })).rejects.toThrow('apk: failed: ERROR: unable to select packages')
  })
})

it('without any, says what was tried and what to install', async () => {
  await expect(search()).rejects.toThrow(
    /No Redis server was found[\s\S]*apt-get install redis-server[\s\S]*REDIS_SERVER=[\s\S]*Tried:[\s\S]*docker: not installed/,
  )
})

describe('as a script', () => {
  const script = fileURLToPath(new URL('../../../scripts/redis-server.mjs', import.meta.url))

  it('prints what it found', async () => {
    const path = command('redis-server', SERVER)
    const { stdout, stderr } = await promisify(execFile)(process.execPath, [script], { env: { PATH: bin } })
    expect(JSON.parse(stdout)).toEqual({ kind: 'binary', path, version: '7.2.4' })
    expect(stderr).toContain('using')
  })

  it('fails with the message alone', async () => {
    const failed = promisify(execFile)(process.execPath, [script], { env: { PATH: bin, REDIS_SERVER: 'gone' } })
    await expect(failed).rejects.toMatchObject({ code: 1, stdout: '', stderr: /^REDIS_SERVER is gone.*\n$/ })
  })
})

describe('the global set-up', () => {
  it('has left its find to the workers', async () => {
    expect(await findRedis()).toEqual(JSON.parse(process.env[DESCRIPTOR_VARIABLE] ?? 'null'))
  })
})
