import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { isListening, LOCKS, reservePort } from '../../support/ports.js'

/** Always the same number, yet another one in each run: several runs may share this machine. */
function onePort(): () => number {
  const number = Math.random()
  return () => number
}

it('gives each port once, outside of the range that outgoing connections are given', async () => {
  const reserved = await Promise.all(Array.from({ length: 50 }, () => reservePort()))
  const ports = reserved.map(({ port }) => port)
  expect(new Set(ports).size).toBe(50)
  expect(Math.max(...ports)).toBeLessThan(32_768 - 10_000)
  for (const { release } of reserved) release()
})

it('does not give a port again before it is released', async () => {
  const always = onePort()
  const first = await reservePort(always)
  await expect(reservePort(always)).rejects.toThrow('no free port')
  first.release()
  const second = await reservePort(always)
  expect(second.port).toBe(first.port)
  second.release()
})

it('does not give a port that somebody else listens on', async () => {
  const always = onePort()
  const { port, release } = await reservePort(always)
  release()
  const server = createServer().listen(port, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  await expect(reservePort(always)).rejects.toThrow('no free port')
  server.close()
})

it('takes over the reservation of a process that is gone', async () => {
  const always = onePort()
  const { port, release } = await reservePort(always)
  release()
  const gone = spawnSync(process.execPath, ['--version']).pid
  writeFileSync(join(LOCKS, String(port)), String(gone))
  const taken = await reservePort(always)
  expect(taken.port).toBe(port)
  taken.release()
})

it('tells whether something listens', async () => {
  const { port, release } = await reservePort()
  expect(await isListening(port)).toBe(false)
  const server = createServer().listen(port, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  expect(await isListening(port)).toBe(true)
  server.close()
  release()
})
