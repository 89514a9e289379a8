import type { History, Stay } from '../history.js'
import { isFromMemory } from './classify.js'
import { createHttpClient, type HttpClient, type Reply } from './http.js'
import { asPage, COOKIE_NAME, type Visitor } from './visitor.js'

export interface AuditOptions {
  readonly history: History
  readonly visitors: readonly Visitor[]
  /** Ports of all application processes; each is asked. */
  readonly ports: () => readonly number[]
  /** Attempts for each visitor until everything is as it should be. */
  readonly attempts: number
  /** Between two attempts, in ms. */
  readonly pause: number
  readonly now: () => number
}

/**
 * When all is at rest, looks at the shop once more through the eyes of everybody who was ever logged in: are they still,
 * is everything in the cart that was acknowledged, and did a logout last? An answer from memory, an error, or a cart that
 * lacks something is asked for again, so that a late repair counts as a repair.
 */
export async function audit(options: AuditOptions): Promise<void> {
  const http = createHttpClient(2000)
  try {
    await Promise.all(options.visitors.map((visitor) => auditOne(visitor, http, options)))
  } finally {
    http.close()
  }
}

async function auditOne(visitor: Visitor, http: HttpClient, options: AuditOptions): Promise<void> {
  const { stay, session } = visitor
  if (stay === undefined || session === undefined) return
  let finding: Finding = UNKNOWN
  for (let attempt = 0; attempt < options.attempts; attempt++) {
    if (attempt > 0) await new Promise((resolve) => setTimeout(resolve, options.pause))
    const looks = options.ports().map(async (port) => {
      const cookie = `${COOKIE_NAME}=${visitor.sessionCookie}`
      return readFinding(await http.send({ port, method: 'GET', path: '/cart', cookie }), visitor)
    })
    finding = combine(await Promise.all(looks), stay)
    if (isAsItShouldBe(finding, stay)) break
  }
  const acknowledged = [...visitor.acknowledged.keys()]
  const at = options.now()
  options.history.add({ kind: 'audit', visitor: visitor.name, session, at, stay, acknowledged, ...finding })
}

/** What a look at the shop showed; `found` is `undefined` when it showed nothing that can be relied on. */
export interface Finding {
  readonly found: boolean | undefined
  readonly missing: readonly number[]
}

const UNKNOWN: Finding = { found: undefined, missing: [] }

function readFinding(reply: Reply, visitor: Visitor): Finding {
  if ('failure' in reply || isFromMemory(reply.headers['x-session-source'])) return UNKNOWN
  const page = asPage(reply.page)
  if (page === undefined) return UNKNOWN
  if (page.visitor !== visitor.name) return { found: false, missing: [...visitor.acknowledged.keys()] }
  return { found: true, missing: visitor.missingFrom(page.cart ?? [], Number.POSITIVE_INFINITY) }
}

/** The worst of what the processes showed: one that still knows a visitor who logged out, one that lacks something. */
export function combine(findings: readonly Finding[], stay: Stay): Finding {
  const known = findings.filter(({ found }) => found !== undefined)
  if (known.length < findings.length || known.length === 0) return UNKNOWN
  if (stay === 'out' || stay === 'maybe-out') return { found: known.some(({ found }) => found), missing: [] }
  return { found: known.every(({ found }) => found), missing: [...new Set(known.flatMap(({ missing }) => missing))] }
}

function isAsItShouldBe({ found, missing }: Finding, stay: Stay): boolean {
  if (stay === 'maybe-out') return found !== undefined
  return stay === 'out' ? found === false : found === true && missing.length === 0
}
