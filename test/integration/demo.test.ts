// The whole demo as a newcomer runs it, only shorter.
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'

const SCRIPT = fileURLToPath(new URL('../../scripts/demo.mjs', import.meta.url))

/** What must hold however busy the machine is; the other lines are about time. */
const TIMELESS = [
  /✔ visitors logged out +0$/m,
  /✔ errors and cut connections +0$/m,
  /✔ acknowledged cart items lost +0 of [1-9]/m,
  /✔ logouts undone +0 of \d/m,
]

function runDemo(...args: string[]): Promise<{ code: number; output: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [SCRIPT, ...args], { timeout: 60_000 }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code ?? -1), output: stdout + stderr })
    })
  })
}

describe('npm run demo', { timeout: 90_000 }, () => {
  it('keeps its visitors, and says so', async () => {
    const { code, output } = await runDemo('--seconds', '6', '--seed', '3')
    expect(output).toMatch(/s {2}Redis killed .* stale [1-9]/)
    for (const line of TIMELESS) expect(output).toMatch(line)
    // On a machine that let the demo's own processes wait, times say nothing about the store.
    if (output.includes('This machine was busy')) return
    expect(output).toContain('The promises held.')
    expect(code).toBe(0)
  })

  it('refuses a wrong argument before it starts anything', async () => {
    const { code, output } = await runDemo('--policy', 'lenient')
    expect(code).toBe(2)
    expect(output).toBe(
      '--policy must be one of read-only, available, strict; got lenient\nSee npm run demo -- --help\n',
    )
  })
})
