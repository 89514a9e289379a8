// What visitors get while Redis is killed or paused under steady traffic, and after: every kind of application, every
// policy. The outage itself happens once per policy and fault, for all applications together.
import { beforeAll, describe, expect, it } from 'vitest'
import { type History, liveThrough, type Phase, type Role, TIMEOUT, type Visit } from './outage-traffic.js'
import { parseSetCookie } from './set-cookie.js'
import { ALL_SETTINGS, nameOf } from './shop.js'

const KNOWN: readonly Role[] = ['reader', 'writer', 'staff']
const WAITING = 1_500

describe.each([
  { policy: 'read-only', fault: 'killed' },
  { policy: 'read-only', fault: 'paused' },
  { policy: 'strict', fault: 'killed' },
  { policy: 'strict', fault: 'paused' },
  { policy: 'available', fault: 'killed' },
  { policy: 'available', fault: 'paused' },
] as const)('Redis is $fault, policy $policy', (outage) => {
  let histories: History[]
  beforeAll(async () => {
    histories = await liveThrough(outage)
  }, 60_000)

  describe.each(ALL_SETTINGS.map((settings, index) => ({ name: nameOf(settings), index })))('$name', ({ index }) => {
    const history = (): History => histories[index] as History

    it('answers every request, whole, and none waits for Redis longer than its deadlines', () => {
      for (const visit of history().visits) {
        expect(visit.answer, told(visit)).toMatchObject({ complete: true, error: undefined })
        // At most one read and one save, each under the deadline; the rest is for a busy machine.
        expect(visit.answer?.elapsedMs, told(visit)).toBeLessThan(2 * TIMEOUT + WAITING)
      }
    })

    it("changes nobody's cookie: the same sid and attributes, whatever is answered", () => {
      const { sids, visits } = history()
      for (const visit of visits) {
        for (const line of visit.answer?.setCookie ?? []) {
          const { name, sid, attributes, expires } = parseSetCookie(line)
          expect({ name, sid }, told(visit)).toEqual({ name: 'connect.sid', sid: sids[visit.role] })
          expect(attributes, told(visit)).toEqual({ path: '/', httponly: '', samesite: 'Lax' })
          expect(Math.abs((expires ?? 0) - Date.now() - 3_600_000), told(visit)).toBeLessThan(120_000)
        }
      }
    })

    it('answers 503 with Retry-After and without a cookie where it cannot serve, and nothing else', () => {
      for (const visit of history().visits) {
        if (visit.answer?.status === 200) continue
        expect(visit.answer?.status, told(visit)).toBe(503)
        expect(visit.answer?.headers['retry-after'], told(visit)).toMatch(/^[1-9]\d*$/)
        expect(visit.answer?.body, told(visit)).not.toContain(history().sids[visit.role])
        expect(['before', 'after'], told(visit)).not.toContain(visit.ended)
        if (visit.path !== '/save') expect(visit.answer?.setCookie, told(visit)).toEqual([])
      }
    })

    it('has everyone logged in after it, here and in another process, without a restart', () => {
      for (const visit of during(history(), 'after')) {
        expect(visit.answer?.headers['x-session-source'], told(visit)).toBe('redis')
        if (visit.path === '/me') expect(visit.answer?.json(), told(visit)).toMatchObject({ user: visit.role })
      }
      for (const [role, answer] of Object.entries(history().elsewhere)) {
        expect(answer.json(), role).toMatchObject({ user: role, source: 'redis' })
      }
    })

    it('has the first good answer within a second', () => {
      expect(history().back).toBeLessThan(1_000)
    })

    it('never brings back an older value over a newer one', () => {
      const { elsewhere, visits } = history()
      const writes = visits.filter(({ n }) => n > 0)
      const acknowledged = writes.findLast(({ path, answer }) => path === '/save' && answer?.status === 200)
      expect(elsewhere.writer.json<{ n: number }>().n).toBeGreaterThanOrEqual(acknowledged?.n ?? Number.NaN)
    })

    it('fails closed where a route asks for it', () => {
      const staff = during(history(), 'down').filter(({ role }) => role === 'staff')
      expect(staff.map(({ answer }) => answer?.status)).toEqual(staff.map(() => 503))
    })

    if (outage.policy === 'strict') {
      it('refuses everyone while Redis is down', () => {
        const visits = during(history(), 'down')
        expect(visits.map(({ answer }) => answer?.status)).toEqual(visits.map(() => 503))
      })
    } else {
      it('serves the known ones all the time, refuses the unknown one', () => {
        const readers = history().visits.filter(({ path, began, ended }) => {
          return path === '/me' && began !== 'aged' && ended !== 'aged' && !returning(began, ended)
        })
        for (const visit of readers.filter(({ role }) => KNOWN.includes(role))) {
          expect(visit.answer?.status, told(visit)).toBe(200)
          expect(visit.answer?.json(), told(visit)).toMatchObject({ user: visit.role })
        }
        const strangers = during(history(), 'down').filter(({ role }) => role === 'stranger')
        expect(strangers.map(({ answer }) => answer?.status)).toEqual(strangers.map(() => 503))
      })
    }

    if (outage.policy === 'read-only') {
      it('says so where a save must be acknowledged, and lets the others through', () => {
        for (const visit of during(history(), 'down').filter(({ role }) => role === 'writer')) {
          expect(visit.answer?.status, told(visit)).toBe(visit.path === '/save' ? 503 : 200)
        }
      })

      it('serves nothing older than maxStale', () => {
        const visits = during(history(), 'aged')
        expect(visits.map(({ answer }) => answer?.status)).toEqual(visits.map(() => 503))
      })
    }

    if (outage.policy === 'available') {
      it('acknowledges writes, which are there when Redis is back', () => {
        const { lastSent, restored } = history()
        const writes = during(history(), 'down').filter(({ n }) => n > 0)
        expect(writes.length).toBeGreaterThan(2)
        expect(writes.map(({ answer }) => answer?.status)).toEqual(writes.map(() => 200))
        expect(restored).toBe(lastSent)
      })

      it('reads its own writes meanwhile', () => {
        let n = 0
        for (const visit of history().visits.filter(({ role }) => role === 'writer')) {
          if (visit.path === '/me') expect(visit.answer?.json(), told(visit)).toMatchObject({ n })
          else n = visit.n
        }
      })
    }
  })
})

/** What began and ended in a phase. */
function during({ visits }: History, phase: Phase): Visit[] {
  return visits.filter(({ began, ended }) => began === phase && ended === phase)
}

/** With copies too old to serve, the first moments of the return are as the outage was. */
function returning(began: Phase, ended: Phase): boolean {
  return began === 'return' || ended === 'return'
}

/** For the message of a failed expectation. */
function told({ role, path, n, began, ended, answer }: Visit): string {
  const what = answer === undefined ? 'hung' : `${answer.status} ${answer.headers['x-session-source'] ?? ''}`
  return `${role} ${path} ${n} (${began} to ${ended}): ${what} ${answer?.body.slice(0, 200)}`
}
