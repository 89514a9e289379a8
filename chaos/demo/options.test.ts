import { describe, expect, it } from 'vitest'
// biome-ignore lint/correctness/useImportExtensions: it is a plain Node module
import { readDemoOptions } from '../../scripts/demo-options.mjs'

const read = (...args: string[]) => readDemoOptions(args)
const options = (...args: string[]) => {
  const request = read(...args)
  return request.kind === 'run' ? request.options : expect.unreachable(JSON.stringify(request))
}

describe('the command line of the demo', () => {
  it('has defaults', () => {
    expect(options()).toEqual({
      store: 'resilient',
      policy: 'read-only',
      front: 'round-robin',
      seconds: 24,
      seed: 7,
      color: true,
    })
  })

  it('takes every option, with a space or an equals sign', () => {
    expect(options('--policy', 'strict', '--front=sticky', '--seconds=8', '--seed', '3', '--no-color')).toEqual({
      store: 'resilient',
      policy: 'strict',
      front: 'sticky',
      seconds: 8,
      seed: 3,
      color: false,
    })
    expect(options('--store', 'connect-redis').store).toBe('connect-redis')
  })

  it('keeps visitors with one process where changes are queued, unless told otherwise', () => {
    expect(options('--policy', 'available').front).toBe('sticky')
    expect(options('--policy', 'available', '--front', 'round-robin').front).toBe('round-robin')
  })

  it.each(['--help', '-h'])('asks for help with %s', (flag) => {
    expect(read('--policy', 'strict', flag)).toEqual({ kind: 'help' })
  })

  it.each([
    [['--policy', 'lenient'], '--policy must be one of read-only, available, strict; got lenient'],
    [['--store', 'memory'], '--store must be one of resilient, connect-redis; got memory'],
    [['--front', 'x'], '--front must be one of round-robin, sticky; got x'],
    [['--seconds', '5'], '--seconds must be a whole number from 6 to 50; got 5'],
    [['--seconds', '8.5'], '--seconds must be a whole number from 6 to 50; got 8.5'],
    [['--seconds', '51'], '--seconds must be a whole number from 6 to 50; got 51'],
    [['--seed', ''], '--seed must be a whole number from 0 to 4294967295; got '],
    [['--store', 'connect-redis', '--policy', 'strict'], '--policy belongs to --store resilient'],
    [['--polcy', 'strict'], "Unknown option '--polcy'"],
    [['strict'], "Unexpected argument 'strict'"],
  ])('refuses %j', (args, message) => {
    expect(read(...args)).toMatchObject({ kind: 'error', message: expect.stringContaining(message) })
  })
})
