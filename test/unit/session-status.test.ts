import type { IncomingMessage } from 'node:http'
import { describe, expect, it } from 'vitest'
import { type Provenance, remember } from '../../src/provenance.js'
import { isAwaited, saveSession, sessionStatus } from '../../src/session-status.js'

/** A request as express-session leaves it, its session being of this origin. */
function request(from?: Partial<Provenance>, keepsSaves?: boolean): IncomingMessage {
  const session = {}
  const store = keepsSaves === undefined ? {} : { sessionStore: { keepsSaves: () => keepsSaves } }
  const req = { session, sessionID: 'abc', ...store } as unknown as IncomingMessage
  if (from !== undefined) {
    const provenance: Provenance = {
      sid: 'abc',
      source: 'redis',
      raw: '{}',
      confirmedAt: undefined,
      originalMaxAge: null,
      attempts: [],
      begun: 0,
      kept: 0,
      ...from,
    }
    remember(session, req, provenance)
  }
  return req
}

describe('sessionStatus', () => {
  it.each(['redis', 'stale', 'queued', 'blank', 'new'] as const)("tells a session from '%s'", (source) => {
    expect(sessionStatus(request({ source })).source).toBe(source)
  })

  it('tells since when Redis has not confirmed it', () => {
    const { confirmedAgo } = sessionStatus(request({ source: 'stale', confirmedAt: performance.now() - 5_000 }))
    expect(confirmedAgo).toBeGreaterThanOrEqual(5_000)
    expect(confirmedAgo).toBeLessThan(60_000)
  })

  it('tells nothing of the kind where there is nothing to tell', () => {
    expect(sessionStatus(request({ source: 'blank' }))).toEqual({ source: 'blank', keepsSaves: false })
    expect(Object.keys(sessionStatus(request({ source: 'redis' })))).toEqual(['source', 'keepsSaves'])
  })

  it.each(['redis', 'stale', 'queued', 'new'] as const)(
    "tells of a session from '%s' that its saves are kept where the store keeps saves",
    (source) => {
      expect(sessionStatus(request({ source }, true)).keepsSaves).toBe(true)
      expect(sessionStatus(request({ source }, false)).keepsSaves).toBe(false)
    },
  )

  it('tells of a blank session that its saves are not kept, whatever the store does', () => {
    for (const keepsSaves of [true, false, undefined]) {
      expect(sessionStatus(request({ source: 'blank' }, keepsSaves)).keepsSaves).toBe(false)
    }
  })

  it('tells what the store does of a session that it did not load, too', () => {
    expect(sessionStatus(request(undefined, true))).toEqual({ source: 'new', keepsSaves: true })
    expect(sessionStatus(request(undefined, false))).toEqual({ source: 'new', keepsSaves: false })
  })

  it('supposes that another store keeps saves', () => {
    expect(sessionStatus(request({ source: 'redis' })).keepsSaves).toBe(true)
  })

  it("is 'new' for a session that the store did not load", () => {
    expect(sessionStatus(request())).toEqual({ source: 'new', keepsSaves: true })
  })

  it.each([
    ['without express-session', {}],
    ['with its session destroyed', { session: null, sessionID: 'abc' }],
    ['with its session undefined', { session: undefined }],
  ])("is 'new' for a request %s", (_, req) => {
    expect(sessionStatus(req as IncomingMessage)).toEqual({ source: 'new', keepsSaves: true })
  })
})

describe('saveSession', () => {
  type Save = (callback: (error?: unknown) => void) => unknown

  function savedBy(save: Save): Promise<void> {
    return saveSession({ session: { save }, sessionID: 'abc' } as unknown as IncomingMessage)
  }

  it("saves by the session's own save, so that express-session does not save it again", async () => {
    const session = {
      saves: 0,
      save(callback: () => void) {
        this.saves++
        callback()
      },
    }
    await saveSession({ session, sessionID: 'abc' } as unknown as IncomingMessage)
    expect(session.saves).toBe(1)
  })

  it.each([undefined, null])('resolves when the callback gets %s', async (nothing) => {
    await expect(savedBy((callback) => callback(nothing))).resolves.toBeUndefined()
  })

  it('rejects with what the callback gets', async () => {
    const error = new Error('down')
    await expect(savedBy((callback) => callback(error))).rejects.toBe(error)
  })

  it('rejects with what save throws', async () => {
    const error = new Error('a bug')
    const save = (): never => {
      throw error
    }
    await expect(savedBy(save)).rejects.toBe(error)
  })

  it.each([{}, { session: null }, { session: {} }, { session: undefined }])(
    'rejects with a TypeError for %o: there is no session to save',
    async (req) => {
      await expect(saveSession(req as unknown as IncomingMessage)).rejects.toThrow(TypeError)
    },
  )

  it('lets the store know that somebody waits for this save, and for no other', async () => {
    let seen: unknown
    await savedBy((callback) => {
      seen = callback
      callback()
    })
    expect(isAwaited(seen)).toBe(true)
    for (const other of [() => {}, undefined, null, {}]) expect(isAwaited(other)).toBe(false)
  })
})
