/**
 * Addresses of their own for servers of one machine, so that one can be cut off from the others: on Linux all of
 * 127.0.0.0/8 is loopback. The cut is made by iptables, since a server's own connections have to be caught as well.
 */
import { execFile, execFileSync } from 'node:child_process'
import { promisify } from 'node:util'
import { guard } from '../../test/support/orphan-guard.js'

const execute = promisify(execFile)

/** Why no address can be cut off here; undefined where it can. */
export function cutRefusal(majorVersion: number): string | undefined {
  if (process.platform !== 'linux') return 'cutting off a process needs Linux'
  if (majorVersion < 7) return 'cutting off a process needs bind-source-addr, of Redis 7'
  if (process.getuid?.() !== 0) return 'cutting off a process needs root, for iptables'
  try {
    execFileSync('iptables', ['-w', '5', '-S', 'INPUT'], { stdio: 'ignore' })
    return undefined
  } catch {
    return 'cutting off a process needs iptables, which does not run here'
  }
}

/** The address of a server: its network is one of a kind as long as its fleet keeps the port. */
export function ownAddress(fleetPort: number, index: number): string {
  return `127.${fleetPort >> 8}.${fleetPort & 255}.${index + 1}`
}

/** Silence between one address and the others of its network. Returns what ends it. */
export async function cutOff(address: string): Promise<() => Promise<void>> {
  const network = address.replace(/\.\d+$/, '.0/24')
  const rules = [
    ['INPUT', '-i', 'lo', '-s', address, '-d', network, '-j', 'DROP'],
    ['INPUT', '-i', 'lo', '-s', network, '-d', address, '-j', 'DROP'],
  ]
  const undo: (() => Promise<void>)[] = []
  for (const rule of rules) {
    // A rule must not outlive the run, however that ends.
    const unguard = guard(`iptables -w 5 -D ${rule.join(' ')}`)
    await execute('iptables', ['-w', '5', '-I', ...rule])
    undo.push(async () => {
      await execute('iptables', ['-w', '5', '-D', ...rule])
      unguard()
    })
  }
  return async () => {
    for (const step of undo.splice(0)) await step()
  }
}
