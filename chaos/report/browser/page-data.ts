import type { Counts, Latencies } from '../buckets.js'
import type { Row } from '../rows.js'
import type { Gauge, GaugeName, LaneHistory } from '../states.js'

/** What the page's script draws: written into the page as JSON. Times are ms since the run began. */
export interface PageData {
  /** Width of a column of `counts` and `latency`. */
  readonly bucket: number
  readonly duration: number
  readonly faults: readonly { readonly label: string; readonly from: number; readonly to: number }[]
  /** The store under test, then those it is compared with. */
  readonly stores: readonly { readonly name: string; readonly counts: Counts; readonly faults: PageData['faults'] }[]
  readonly latency: Readonly<Record<'p50' | 'p99' | 'max', readonly (number | null)[]>>
  /** Of the whole run; `null` when nothing was sent. */
  readonly total: Latencies | null
  /** Lines to compare latencies with. */
  readonly limits: readonly { readonly label: string; readonly at: number }[]
  readonly lanes: readonly LaneHistory[]
  readonly gauges: Readonly<Record<GaugeName, readonly Gauge[]>>
  readonly rows: readonly Row[]
}
