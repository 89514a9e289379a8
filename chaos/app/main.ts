/**
 * One process of the shop. Started by {@link ./shop-process.ts} with a `ShopConfig` as its one argument; tells its driver
 * over IPC where it listens, how its store is, and what the store told it. Ends when the driver goes.
 */
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import session from 'express-session'
import type { ShopConfig, ShopMessage } from './messages.js'
import { createShop } from './shop.js'
import { openStore } from './stores.js'

/** How often the store's state is reported, in ms. */
const REPORT_EVERY = 100

const config = JSON.parse(process.argv[2] ?? '{}') as ShopConfig

function tell(message: ShopMessage): void {
  if (process.connected) process.send?.(message)
}

const opened = await openStore(config, (name, detail) => tell({ kind: 'note', name, detail }))
const shop = createShop({
  session: session({
    store: opened.store,
    secret: 'a demo has no secrets',
    resave: false,
    saveUninitialized: false,
    cookie: { maxAge: 3_600_000 },
  }),
  save: opened.save,
  sourceOf: opened.sourceOf,
})

const server = shop.listen(0, '127.0.0.1')
await once(server, 'listening')
// The driver keeps its connections: one closed for idleness just as a request leaves would look like a failure.
server.keepAliveTimeout = 600_000
tell({ kind: 'listening', port: (server.address() as AddressInfo).port })

const delays = monitorEventLoopDelay()
delays.enable()
const reporting = setInterval(() => {
  tell({ kind: 'report', report: { store: opened.report(), stall: delays.max / 1e6 } })
}, REPORT_EVERY)

// Ctrl-C reaches every process of the terminal; the driver decides when this one ends.
process.on('SIGINT', () => {})
process.on('disconnect', async () => {
  clearInterval(reporting)
  server.close()
  server.closeAllConnections()
  setTimeout(() => process.exit(), 2000).unref()
  await opened.close().catch(() => {})
  process.exit()
})
