import { describe, expect, it } from 'vitest'
// biome-ignore lint/correctness/useImportExtensions: it is a plain Node module
import { readChaosOptions } from '../../scripts/chaos-options.mjs'

const read = (...args: string[]) => readChaosOptions(args)
const options = (...args: string[]) => {
  const request = read(...args)
  return request.kind === 'run' ? request.options : expect.unreachable(JSON.stringify(request))
}

describe('the command line of the chaos runs', () => {
  it('has defaults', () => {
    expect(options()).toMatchObject({ scenario: 'kill', topology: 'standalone', driver: 'process', seconds: 20 })
    expect(options()).toMatchObject({ policy: 'read-only', front: 'round-robin', store: 'resilient', compare: [] })
    expect(options('--matrix', 'all').seconds).toBe(15)
  })

  it('takes the whole line of its help', () => {
    const line =
      '--scenario kill --topology sentinel --driver docker --policy available --seed 7 --seconds 60 --compare connect-redis,memory'
    expect(options(...line.split(' '))).toMatchObject({
      ...{ scenario: 'kill', topology: 'sentinel', driver: 'docker', policy: 'available', seed: 7, seconds: 60 },
      ...{ compare: ['connect-redis', 'memory'], front: 'sticky' },
    })
  })

  it.each([
    [['--topology', 'ring'], '--topology must be one of standalone, sentinel, cluster; got ring'],
    [['--compare', 'file'], /^--compare must be one of/],
    [['--seconds', '4'], '--seconds must be a whole number from 5 to 600; got 4'],
    [['--nonsense'], /--nonsense/],
  ])('refuses %j', (args, message) => {
    const request = read(...args)
    expect(request.kind === 'error' ? request.message : request).toEqual(
      typeof message === 'string' ? message : expect.stringMatching(message),
    )
  })
})
