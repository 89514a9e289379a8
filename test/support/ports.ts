// Ports for servers that go away and come back. An ephemeral port will not do: while its server is down, a client that
// reconnects can be given that very port as its own and connect to itself, and other test workers can take it.
import { chmodSync, closeSync, mkdirSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { guard, quote } from './orphan-guard.js'
import type { Random } from './random.js'

// Below the ephemeral ports of Linux (32768) and macOS (49152), and so is the bus of a Cluster node at port + 10000.
const FIRST_PORT = 11_000
const PORT_COUNT = 10_000
const ATTEMPTS = 200

/** Where the reservations of all test processes are: one file for each port. */
export const LOCKS: string = join(tmpdir(), 'resilient-session-store-ports')

/** A port that no other test process is given until it is released. */
export interface ReservedPort {
  readonly port: number
  release(): void
}

/** Takes a free port of 127.0.0.1 for as long as this process lives, or until it is released. */
export async function reservePort(random: Random = Math.random): Promise<ReservedPort> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const port = FIRST_PORT + Math.floor(random() * PORT_COUNT)
    const lock = takeLock(port)
    if (lock === undefined) continue
    if (!(await isListening(port))) return { port, release: lock }
    lock()
  }
  throw new Error(`no free port between ${FIRST_PORT} and ${FIRST_PORT + PORT_COUNT - 1} in ${ATTEMPTS} attempts`)
}

/** Whether something accepts connections on a port of 127.0.0.1. */
export function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1' })
    socket.on('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.on('error', () => resolve(false))
  })
}

/** One file per port, made only if it is not there, with its owner's process id. */
function takeLock(port: number): (() => void) | undefined {
  const path = join(LOCKS, String(port))
  // Open to every user of the machine, like the temporary directory itself.
  if (mkdirSync(LOCKS, { recursive: true }) !== undefined) chmodSync(LOCKS, 0o1777)
  let file: number
  try {
    file = openSync(path, 'wx')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    dropStaleLock(path)
    return undefined
  }
  writeSync(file, String(process.pid))
  closeSync(file)
  const unguard = guard(`rm -f ${quote(path)}`)
  return () => {
    unguard()
    rmSync(path, { force: true })
  }
}

/** A lock whose owner is gone (a machine that lost its power) is removed, for a later attempt to take. */
function dropStaleLock(path: string): void {
  try {
    const owner = Number(readFileSync(path, 'utf8'))
    // An empty file is a lock in the making.
    if (owner > 0 && !isAlive(owner)) rmSync(path, { force: true })
  } catch {
    // Gone meanwhile, or another user's.
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
