/**
 * One process of the shop. Started by {@link ./shop-process.ts} with a `ShopConfig` as its one argument; tells its driver
 * over IPC where it listens, how its store is, and what the store did and said. Ends when the driver goes.
 */
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import session from 'express-session'
import { monotonic } from '../monotonic.js'
import { StallMeter } from '../stall-meter.js'
import type { DriverMessage, ShopConfig, ShopMessage, ShopRecord } from './messages.js'
import { Recorder } from './recorder.js'
import { createShop } from './shop.js'
import { openStore } from './stores.js'

/** How often the store's state is reported, and records are sent, in ms. */
const SAMPLE_EVERY = 100
const SEND_EVERY = 25
/** How long requests under way may take when the process ends, and how long it may take to end, in ms. */
const ANSWER_WITHIN = 1000
const END_WITHIN = 2500

const config = JSON.parse(process.argv[2] ?? '{}') as ShopConfig

const unsent: ShopRecord[] = []

function tell(message: ShopMessage): void {
  if (process.connected) process.send?.(message)
}

function send(): void {
  if (unsent.length > 0) tell({ kind: 'records', records: unsent.splice(0) })
}

const recorder = new Recorder((record) => unsent.push(record))
const opened = await openStore(config, recorder)
const shop = createShop({
  session: session({
    store: opened.store,
    secret: 'a demo has no secrets',
    resave: false,
    saveUninitialized: false,
    cookie: { maxAge: config.settings.cookieMaxAge },
  }),
  follow: [recorder.follow, ...opened.follow],
  save: (request) =>
    recorder.saving(
      request.sessionID,
      () => opened.save(request),
      () => opened.savedTo(request),
    ),
  sourceOf: opened.sourceOf,
  wasToldOfDestroy: (request) => recorder.wasToldOfDestroy(request),
})

const server = shop.listen(0, '127.0.0.1')
await once(server, 'listening')
// The driver keeps its connections: one closed for idleness just as a request leaves would look like a failure.
server.keepAliveTimeout = 600_000
let requests = 0
server.on('request', (_request, response) => {
  requests++
  response.once('close', () => requests--)
})
tell({ kind: 'listening', port: (server.address() as AddressInfo).port })

const stalls = new StallMeter()
const sampling = setInterval(() => {
  const stall = stalls.take()
  const store = opened.sample()
  unsent.push({ kind: 'sample', at: monotonic(), stall, rss: process.memoryUsage.rss(), requests, store })
}, SAMPLE_EVERY)
const sending = setInterval(send, SEND_EVERY)

process.on('message', ({ by }: DriverMessage) => {
  const real = Date.now.bind(Date)
  Date.now = () => real() + by
})

// Ctrl-C reaches every process of the terminal; the driver decides when this one ends.
process.on('SIGINT', () => {})
let ending = false
async function end(): Promise<void> {
  if (ending) return
  ending = true
  clearInterval(sampling)
  setTimeout(() => process.exit(), END_WITHIN).unref()
  // What has begun is answered; connections that stay idle are closed.
  await new Promise((resolve) => {
    server.close(resolve)
    setTimeout(() => server.closeAllConnections(), ANSWER_WITHIN).unref()
  })
  await opened.close().catch(() => {})
  clearInterval(sending)
  recorder.close()
  send()
  process.exit()
}
process.on('SIGTERM', end)
process.on('disconnect', end)
