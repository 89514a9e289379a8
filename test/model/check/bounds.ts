import type { Facts } from './facts.js'
import type { Violation } from './violation.js'

/** More than one of these sessions takes, with what it was made from, bytes. */
const SESSION = 1_000

/**
 * P7: cache and queue keep their bounds, and forget what they counted. At its bound the queue refuses new saves
 * (design.md, "Queue"); what waits already may grow by what is merged into it when it is sent.
 */
export function bounds({ history }: Facts): Violation[] {
  const { cache, queue } = history.settings
  return history.stores.flatMap(({ id, holdings }) => {
    const broken = holdings.flatMap(({ cached, queuedSaves, queuedBytes, inFlight, cachedBytes, taking }) => [
      ...(cached > (cache?.max ?? 0) ? [`${cached} sessions in the cache`] : []),
      ...(queuedSaves > queue.max ? [`${queuedSaves} saves in the queue`] : []),
      ...(queuedBytes > queue.maxBytes + (taking ? 0 : queuedSaves * SESSION)
        ? [`${queuedBytes} bytes in the queue`]
        : []),
      ...(queuedSaves === 0 && queuedBytes !== 0 ? [`${queuedBytes} bytes in an empty queue`] : []),
      ...(cached === 0 && cachedBytes !== 0 ? [`${cachedBytes} bytes in an empty cache`] : []),
      ...(queuedBytes < 0 || inFlight < 0 ? ['a negative count'] : []),
    ])
    return [...new Set(broken)].map(
      (what): Violation => ({ promise: 'P7', what: `store ${id}: ${what}`, operations: [] }),
    )
  })
}
