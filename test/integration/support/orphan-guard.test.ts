import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, describe, expect, it } from 'vitest'
import { guardDirectory, quote } from '../../support/orphan-guard.js'
import { isListening } from '../../support/ports.js'
import { until } from '../../support/wait.js'

interface LeftBehind {
  readonly pid: number
  readonly port: number
  readonly socketPath: string
}

const children: ChildProcess[] = []

afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL')
})

/** A process of its own that has started a Redis. */
async function startHolder(state = 'running'): Promise<{ readonly child: ChildProcess; readonly left: LeftBehind }> {
  const script = fileURLToPath(new URL('fixtures/left-behind.ts', import.meta.url))
  const child = spawn(process.execPath, ['--import', 'tsx', script, state], {
    stdio: ['ignore', 'pipe', 'inherit'],
    detached: true,
  })
  children.push(child)
  const [line] = await once(child.stdout as NodeJS.ReadableStream, 'data')
  return { child, left: JSON.parse(String(line)) }
}

/** Whether a process runs; a zombie, which answers to `kill -0`, does not, though its last threads may be on their way. */
function runs(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return process.platform !== 'linux' || !/^.*\) Z/s.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))
  } catch {
    return false
  }
}

describe('a server whose test process ends', () => {
  it.each(['SIGKILL', 'SIGTERM', 'SIGINT'] as const)('by %s dies too, and leaves no files', async (signal) => {
    const { child, left } = await startHolder()
    expect(runs(left.pid)).toBe(true)
    expect(existsSync(left.socketPath)).toBe(true)

    // The whole process group, as Ctrl-C does.
    process.kill(-(child.pid ?? 0), signal)
    await until(() => !runs(left.pid), { what: 'the server to die' })
    await until(() => !existsSync(dirname(left.socketPath)), { what: 'its directory to go' })
    await until(async () => !(await isListening(left.port)), { what: 'its port to be free' })
  })

  it('dies even if it is paused', async () => {
    const { child, left } = await startHolder('paused')
    child.kill('SIGKILL')
    await until(() => !runs(left.pid), { what: 'the paused server to die' })
  })
})

it('a forgotten server does not keep its test process alive', async () => {
  const { child, left } = await startHolder('forgotten')
  if (child.exitCode === null) await once(child, 'exit')
  expect(child.exitCode).toBe(0)
  await until(() => !runs(left.pid), { what: 'the server to die' })
})

describe('guard', () => {
  it('does nothing once it is called off', async () => {
    const kept = mkdtempSync(join(tmpdir(), 'rss-guard-'))
    const gone = mkdtempSync(join(tmpdir(), 'rss-guard-'))
    const script = `
      import { guardDirectory } from ${JSON.stringify(new URL('../../support/orphan-guard.ts', import.meta.url).href)}
      guardDirectory(${JSON.stringify(gone)})
      guardDirectory(${JSON.stringify(kept)})()
    `
    const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '--eval', script])
    children.push(child)
    expect(await once(child, 'exit')).toEqual([0, null])
    await until(() => !existsSync(gone), { what: 'the guarded directory to go' })
    expect(existsSync(kept)).toBe(true)
    guardDirectory(kept)
  })

  it('survives any path', () => {
    expect(quote("/tmp/it's $HOME")).toBe(`'/tmp/it'\\''s $HOME'`)
  })
})
