import { spawn } from 'node:child_process'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { RedisBinary } from './find-redis.js'
import { guardProcess } from './orphan-guard.js'
import { settled, until } from './wait.js'

/** How long a server may take to leave by itself before it is killed. */
export const GRACE_MS = 5_000

/** A redis-server that was launched; the same verbs for a process and for a container. */
export interface RunningRedis {
  readonly pid: number
  /** Whether it has ended. */
  readonly gone: boolean
  /** Ends it like a crash. Resolves when it is gone. */
  kill(): Promise<void>
  /** Asks it to leave, kills it if it does not. Resolves when it is gone. */
  terminate(): Promise<void>
  /** Freezes it: it accepts connections, through the kernel, and answers nothing. Resolves when it is frozen. */
  pause(): Promise<void>
  resume(): Promise<void>
  /** What it has written to its log since this start. */
  log(): Promise<string>
}

/** What to launch: a directory with a `redis.conf`, and words that override it. */
export interface LaunchSpec {
  readonly directory: string
  readonly port: number
  readonly words: readonly string[]
}

/** Launches a redis-server as a child of this process, which does not outlive it. */
export async function launchProcess({ path }: RedisBinary, { directory, words }: LaunchSpec): Promise<RunningRedis> {
  const logFile = join(directory, 'redis.log')
  const output = openSync(logFile, 'w')
  // Its own process group: Ctrl-C in the terminal is not a fault that anyone asked for.
  const child = spawn(path, [join(directory, 'redis.conf'), ...words], {
    cwd: directory,
    stdio: ['ignore', output, output],
    detached: true,
  })
  closeSync(output)
  const pid = child.pid
  if (pid === undefined) throw await new Promise((resolve) => child.once('error', resolve))
  const unguard = guardProcess(pid)
  child.unref()

  // The exit event is the proof: `kill -0` succeeds on a zombie.
  let gone = false
  const exited = new Promise<void>((resolve) => {
    child.once('exit', () => {
      gone = true
      unguard()
      resolve()
    })
  })

  /** Waiting for the exit holds the event loop open, as an unreferenced child does not. */
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    child.ref()
    if (!gone) child.kill(signal)
    await exited
  }

  return {
    pid,
    get gone() {
      return gone
    },
    kill: () => end('SIGKILL'),
    async terminate() {
      // A stopped process gets SIGTERM only once it goes on.
      child.kill('SIGCONT')
      const left = await settled(end('SIGTERM'), { timeoutMs: GRACE_MS }).catch(() => undefined)
      if (left === undefined) await end('SIGKILL')
    },
    async pause() {
      child.kill('SIGSTOP')
      if (process.platform === 'linux') await until(() => stateOf(pid) === 'T', { what: `process ${pid} to stop` })
    },
    async resume() {
      child.kill('SIGCONT')
    },
    log: () => readFile(logFile, 'utf8'),
  }
}

/** The state letter of a Linux process: R, S, T (stopped), Z (zombie)…; the name before it may hold any character. */
function stateOf(pid: number): string | undefined {
  return /^.*\) (\w)/s.exec(readFileSync(`/proc/${pid}/stat`, 'utf8'))?.[1]
}
