/** Hand-made runs for tests. */
import type { Exchange, StoreRun } from './model.js'

export function exchange(values: Partial<Exchange> & Pick<Exchange, 'record' | 'start'>): Exchange {
  const { start, waited = 5 } = values
  return {
    visitor: 'v1',
    action: 'view',
    process: 'A',
    end: start + waited,
    waited,
    kind: 'fresh',
    outcome: '200',
    ...values,
  }
}

export function storeRun(values: Partial<StoreRun> = {}): StoreRun {
  return {
    name: 'resilient-session-store',
    duration: 4000,
    exchanges: [],
    others: [],
    faults: [],
    samples: [],
    items: { acknowledged: 0, lost: 0 },
    ghosts: 0,
    loggedOut: 0,
    promises: [],
    besides: [],
    ...values,
  }
}
