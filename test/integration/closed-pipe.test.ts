// What prints much ends quietly when nobody reads it any more.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'

/** Reads the first of what a script prints, or nothing, and closes the pipe. */
async function readLittle(script: string, words: readonly string[], isMuch: boolean): Promise<[number, string]> {
  const path = fileURLToPath(new URL(`../../scripts/${script}`, import.meta.url))
  const child = spawn(process.execPath, [path, ...words], { stdio: ['ignore', 'pipe', 'pipe'] })
  const errors = text(child.stderr)
  const exited = once(child, 'exit')
  if (isMuch) await once(child.stdout, 'data')
  child.stdout.destroy()
  const [code] = await exited
  return [code, await errors]
}

it.each([
  ['chaos.mjs', '--list'],
  ['chaos.mjs', '--help'],
  ['demo.mjs', '--help'],
])('%s %s, unread', async (script, word) => {
  expect(await readLittle(script, [word], false)).toEqual([0, ''])
})

it('a run that nobody watches ends what it started', { timeout: 60_000 }, async () => {
  const hangUp = 129
  expect(await readLittle('demo.mjs', ['--seconds', '30'], true)).toEqual([hangUp, ''])
})
