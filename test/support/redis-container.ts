import { execFile, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { CONTAINER_ENTRYPOINT, type RedisContainer } from './find-redis.js'
import { guard, quote } from './orphan-guard.js'
import { GRACE_MS, type LaunchSpec, type RunningRedis } from './redis-process.js'

const execute = promisify(execFile)

/**
 * Launches a redis-server in a container of its own. Each start is a new container; data, configuration and unix socket
 * are in `directory`, which is mounted under the same path.
 */
export async function launchContainer(
  { engine, image, network, user }: RedisContainer,
  { directory, port, words }: LaunchSpec,
): Promise<RunningRedis> {
  const name = `resilient-session-store-${randomBytes(6).toString('hex')}`
  const call = async (...args: string[]): Promise<string> => (await execute(engine, args)).stdout.trim()
  // Registered before it exists: this process can be killed while the engine is at work.
  const unguard = guard(`${quote(engine)} rm -f -v ${name}`)
  const remove = async (): Promise<void> => {
    await call('rm', '--force', '--volumes', name)
    unguard()
  }
  try {
    await call(
      ...['run', '--detach', '--name', name, '--user', user, '--security-opt', 'label=disable'],
      ...(network === 'host' ? ['--network', 'host'] : ['--publish', `127.0.0.1:${port}:${port}`]),
      ...['--volume', `${directory}:${directory}`, '--workdir', directory],
      ...['--entrypoint', 'sh', image, ...CONTAINER_ENTRYPOINT, join(directory, 'redis.conf'), ...words],
    )
  } catch (error) {
    // A container whose port is taken has been made all the same.
    await remove()
    throw error
  }
  const pid = Number(await call('inspect', '--format', '{{.State.Pid}}', name))

  const readLog = async (): Promise<string> => {
    const { stdout, stderr } = await execute(engine, ['logs', name])
    return stdout + stderr
  }

  let finalLog: string | undefined
  // Without a hold on the event loop: a forgotten server must not keep the test process alive.
  const waiter = spawn(engine, ['wait', name], { stdio: 'ignore' })
  waiter.unref()
  const exited = new Promise<void>((resolve, reject) =>
    waiter.once('exit', () => resolve()).once('error', reject),
  ).then(async () => {
    finalLog = await readLog()
    await remove()
  })
  exited.catch(() => {})
  const end = async (...args: string[]): Promise<void> => {
    waiter.ref()
    if (finalLog === undefined) await call(...args, name)
    await exited
  }

  return {
    pid,
    get gone() {
      return finalLog !== undefined
    },
    kill: () => end('kill'),
    async terminate() {
      await call('unpause', name).catch(() => {})
      await end('stop', '--time', String(GRACE_MS / 1_000))
    },
    pause: async () => void (await call('pause', name)),
    resume: async () => void (await call('unpause', name)),
    log: async () => finalLog ?? readLog(),
  }
}
