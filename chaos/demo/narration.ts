/** What the demo says about itself. Pure. */
import type { Policy } from '../records.js'
import type { Staging } from '../show/scene.js'

/** What to show. */
export interface DemoOptions {
  readonly store: 'resilient' | 'connect-redis'
  readonly policy: Policy
  readonly front: 'round-robin' | 'sticky'
  /** Length of the traffic. */
  readonly seconds: number
  /** Chooses the course of events. */
  readonly seed: number
  /** Whether colors may be used, where the terminal has them. */
  readonly color: boolean
}

/** The words that go with a run. */
export type Narration = Pick<Staging, 'title' | 'subtitle' | 'messages' | 'phases'>

const DURING: Readonly<Record<Policy, string>> = {
  'read-only': 'Redis was killed. Carts come from memory; changes are refused.',
  available: 'Redis was killed. Carts come from memory; changes are queued.',
  strict: 'Redis was killed. Whatever needs a session is refused at once.',
}

export function describeRun({ store, policy, front }: DemoOptions, rate: number, visitors: number): Narration {
  const ours = store === 'resilient'
  const way = front === 'sticky' ? 'each with one of' : 'in turn to'
  return {
    title: ours ? `resilient-session-store, policy ${policy}` : `${store}, for comparison`,
    subtitle: `${visitors} visitors, ${rate} requests/s, ${way} two processes on one Redis`,
    messages: {
      before: 'Redis is well.',
      during: ours ? DURING[policy] : 'Redis was killed (SIGKILL).',
      after: 'Redis is back, with its data.',
    },
    phases: { before: 'healthy', during: 'Redis killed', after: 'Redis back' },
  }
}
