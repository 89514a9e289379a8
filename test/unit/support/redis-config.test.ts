import { describe, expect, it } from 'vitest'
import { type ConfigParts, configFile, configWords, redisConfig } from '../../support/redis-config.js'

const parts: ConfigParts = {
  directory: '/tmp/x',
  socketPath: '/tmp/x/s',
  host: '127.0.0.1',
  port: 1234,
  majorVersion: 7,
  appendonly: false,
  sentinel: false,
  requirepass: undefined,
  maxmemory: undefined,
  certificate: undefined,
  adminPassword: undefined,
  extra: {},
}

describe('redisConfig', () => {
  it('stores nothing and is reachable from this machine only', () => {
    const config = redisConfig(parts)
    expect(config).toMatchObject({ bind: '127.0.0.1', port: 1234, save: '', appendonly: 'no' })
    expect(config).not.toHaveProperty('requirepass')
    expect(config).not.toHaveProperty('maxmemory')
  })

  it('writes each change to disk before it is answered, when data is to be kept', () => {
    expect(redisConfig({ ...parts, appendonly: true })).toMatchObject({ appendonly: 'yes', appendfsync: 'always' })
  })

  it('leaves out what Redis 6 does not know', () => {
    expect(redisConfig(parts)).toHaveProperty('enable-debug-command')
    expect(redisConfig({ ...parts, majorVersion: 6 })).not.toHaveProperty('enable-debug-command')
  })

  it('serves TLS in place of plain TCP', () => {
    const certificate = { keyFile: 'k', certFile: 'c', ca: '' }
    expect(redisConfig({ ...parts, certificate })).toMatchObject({ port: 0, 'tls-port': 1234, 'tls-key-file': 'k' })
  })

  it('refuses writes, and evicts nothing, at its memory limit', () => {
    expect(redisConfig({ ...parts, maxmemory: '2mb' })).toMatchObject({
      maxmemory: '2mb',
      'maxmemory-policy': 'noeviction',
    })
  })

  it('lets the test have the last word', () => {
    expect(redisConfig({ ...parts, extra: { appendonly: 'yes', maxclients: 10 } })).toMatchObject({
      appendonly: 'yes',
      maxclients: 10,
    })
  })
})

const sample = { save: '', maxclients: 10, sentinel: ['monitor m 127.0.0.1 1 2', 'parallel-syncs m 1'] }

it('becomes a file, with lines for lists and quotes for nothing', () => {
  expect(configFile(sample)).toBe(
    'save ""\nmaxclients 10\nsentinel monitor m 127.0.0.1 1 2\nsentinel parallel-syncs m 1\n',
  )
})

it('becomes words of a command line', () => {
  expect(configWords({ save: '', replicaof: '127.0.0.1 1' })).toEqual(['--save', '', '--replicaof', '127.0.0.1', '1'])
})
