import { EventEmitter } from 'node:events'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { type Client, Connection, type ConnectionOptions } from '../../../src/redis/connect.js'
import { until } from '../../support/wait.js'

afterEach(() => {
  vi.restoreAllMocks()
})

/** A Cluster client, connected: its nodes answer INFO as a server that evicts would. */
class FakeCluster extends EventEmitter {
  readonly isCluster = true
  readonly status = 'ready'
  readonly options = {
    enableOfflineQueue: false,
    redisOptions: { autoResendUnfulfilledCommands: false, commandTimeout: 1_000 },
  }
  readonly asked: string[] = []

  async info(section: string): Promise<string> {
    this.asked.push(section)
    return 'run_id:one-of-several\r\nmaxmemory_policy:allkeys-lru\r\n'
  }

  async time(): Promise<[string, string]> {
    return ['1893456000', '0']
  }
}

describe('on Cluster', () => {
  it('neither the run_id nor the eviction policy of one node is taken for that of all', async () => {
    const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
    const cluster = new FakeCluster()
    const onReady = vi.fn<ConnectionOptions['onReady']>()
    const connection = new Connection({
      client: cluster as unknown as Client,
      redis: '',
      timeout: 250,
      onReady,
      onLost: () => {},
    })
    connection.start()
    await until(() => onReady.mock.calls.length > 0, { what: 'the first questions to be answered' })
    expect(onReady).toHaveBeenCalledExactlyOnceWith(true)
    expect(cluster.asked).not.toContain('memory')
    expect(connection.runId).toBeUndefined()
    expect(warn).not.toHaveBeenCalled()
    await connection.close()
  })
})
