/** What the JSON of a connection is worth: an ioredis client that is made from it follows the master, by its proxies. */
import { Cluster, Redis } from 'ioredis'
import { describe, expect, it } from 'vitest'
import { eventually, isPending, until } from '../../../test/support/wait.js'
import type { Connection, Driver } from '../contract.js'
import { KEY } from './bench.js'

const TEST_TIMEOUT = 90_000

/** A client as an application would make it; it gives up a silent server after a second. */
function connect(connection: Connection): Redis | Cluster {
  const node = {
    ...('password' in connection && { password: connection.password }),
    ...{ connectTimeout: 1_000, socketTimeout: 1_000, commandTimeout: 1_000, maxRetriesPerRequest: 0 },
  }
  const backoff = { retryStrategy: () => 100 }
  const client =
    connection.topology === 'cluster'
      ? new Cluster([...connection.nodes], {
          natMap: connection.natMap,
          redisOptions: node,
          clusterRetryStrategy: () => 100,
        })
      : connection.topology === 'sentinel'
        ? new Redis({
            ...{ ...node, ...backoff, sentinelCommandTimeout: 1_000, sentinelRetryStrategy: () => 100 },
            ...{ sentinels: [...connection.sentinels], name: connection.name, natMap: connection.natMap },
          })
        : new Redis({ ...node, ...backoff, host: connection.host, port: connection.port })
  client.on('error', () => {})
  return client
}

export function clientSuite(driver: () => Driver): void {
  describe('an ioredis client', () => {
    it.each(['standalone', 'sentinel', 'cluster'] as const)(
      'of %s, made from JSON',
      { timeout: TEST_TIMEOUT },
      async (topology) => {
        await using rig = await driver().open(topology, { password: 'a-password' })
        const clients = await Promise.all(
          ['a', 'b'].map(async (app) => connect(JSON.parse(JSON.stringify(await rig.connection(app))))),
        )
        clients.push(connect(JSON.parse(JSON.stringify(rig.direct()))))
        const [a, b, direct] = clients as [Redis, Redis, Redis]
        try {
          await eventually(() => Promise.all(clients.map((client) => client.set(KEY, 'value'))), { timeoutMs: 10_000 })
          const partition = await rig.inject({ kind: 'partition-app', app: 'a' })
          expect(
            await isPending(
              a.get(KEY).catch(() => 'failed'),
              150,
            ),
          ).toBe(true)
          expect([await b.get(KEY), await direct.get(KEY)]).toEqual(['value', 'value'])
          await partition.heal()
          await eventually(() => a.get(KEY), { timeoutMs: 10_000, what: 'a to be served again' })

          if (topology !== 'standalone') {
            const kill = await rig.inject({ kind: 'kill', target: { key: KEY } })
            const written = clients.map((client) =>
              eventually(() => client.set(KEY, 'again'), {
                timeoutMs: 30_000,
                intervalMs: 50,
                what: 'a client to write again',
              }),
            )
            expect(await Promise.all(written)).toEqual(['OK', 'OK', 'OK'])
            await kill.heal()
          }
          // Nobody has found a way around the proxies.
          const last = await rig.inject({ kind: 'partition-app', app: 'a' })
          await until(
            () =>
              isPending(
                a.set(KEY, 'x').catch(() => 'failed'),
                150,
              ),
            { what: 'a to be silent again' },
          )
          await last.heal()
        } finally {
          for (const client of clients) client.disconnect()
        }
      },
    )
  })
}
