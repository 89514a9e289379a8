import { describe, expect, it } from 'vitest'
import type { Action } from '../history.js'
import type { Reply } from './http.js'
import { asPage, Visitor } from './visitor.js'

const COOKIE = 'connect.sid=s%3Aone; Path=/; HttpOnly'

function reply(changes: Partial<Extract<Reply, { status: number }>> = {}): Reply {
  return { status: 200, headers: {}, setCookie: [], page: { visitor: 'v1', cart: [] }, ...changes }
}

function act(visitor: Visitor, action: Action, answer: Reply, at = 0) {
  const record = visitor.begin(action, 'A', at, 1)
  visitor.finish(record, answer, at + 1)
  return record
}

function loggedIn(): Visitor {
  const visitor = new Visitor('v1')
  act(visitor, 'login', reply({ setCookie: [COOKIE] }))
  return visitor
}

describe('a visitor', () => {
  it('logs in before anything else, and waits for the answer', () => {
    const visitor = new Visitor('v1')
    expect(visitor.choose('view')).toBe('login')
    visitor.begin('login', 'A', 0, 1)
    expect(visitor.choose('view')).toBeUndefined()
  })

  it('is logged in once the shop has said so, and keeps the cookie', () => {
    const visitor = loggedIn()
    expect(visitor.loggedIn).toBe(true)
    expect(visitor.jar.value).toBe('s%3Aone')
  })

  it('tries again after a refused login', () => {
    const visitor = new Visitor('v1')
    act(visitor, 'login', reply({ status: 503, page: undefined }))
    expect(visitor.loggedIn).toBe(false)
    expect(visitor.stay).toBeUndefined()
    expect(visitor.choose('view')).toBe('login')
  })

  it('has one change under way at most, and looks at pages meanwhile', () => {
    const visitor = loggedIn()
    const adding = visitor.begin('add', 'A', 0, 1)
    expect(visitor.choose('add')).toBe('view')
    expect(visitor.choose('logout')).toBe('view')
    expect(visitor.choose('admin')).toBe('admin')
    visitor.finish(adding, reply(), 1)
    expect(visitor.choose('add')).toBe('add')
  })

  it('remembers what was acknowledged, and only that', () => {
    const visitor = loggedIn()
    act(visitor, 'add', reply())
    act(visitor, 'add', reply({ status: 503, page: undefined }))
    act(visitor, 'add', { failure: 'gave-up' })
    expect([...visitor.acknowledged.keys()]).toEqual([1])
  })

  it('misses in a page what was acknowledged before the request for it left', () => {
    const visitor = loggedIn()
    act(visitor, 'add', reply(), 10)
    const early = act(visitor, 'view', reply(), 11)
    const late = act(visitor, 'view', reply(), 12)
    const whole = act(visitor, 'view', reply({ page: { visitor: 'v1', cart: ['v1-1'] } }), 13)
    expect([early, late, whole].map(({ answer }) => answer?.missing)).toEqual([0, 1, 0])
  })

  it('is lost when the shop no longer knows them', () => {
    const visitor = loggedIn()
    const record = act(visitor, 'view', reply({ status: 401, page: { visitor: null } }))
    expect(record.loggedIn).toBe(true)
    expect(visitor.stay).toBe('lost')
    expect(visitor.hasLeft).toBe(true)
  })

  it('notices a cookie that was changed without being asked', () => {
    const visitor = loggedIn()
    const record = act(visitor, 'view', reply({ setCookie: ['connect.sid=s%3Atwo; Path=/'] }))
    expect(record.answer?.cookieChanged).toBe(true)
    expect(visitor.stay).toBe('lost')
  })

  it('takes the same cookie sent again for no change', () => {
    const record = act(loggedIn(), 'view', reply({ setCookie: [COOKIE] }))
    expect(record.answer?.cookieChanged).toBe(false)
  })

  it('is not certain to be logged in once a logout is on its way', () => {
    const visitor = loggedIn()
    const before = visitor.begin('view', 'A', 0, 1)
    const logout = visitor.begin('logout', 'A', 1, 1)
    const after = visitor.begin('view', 'A', 2, 1)
    const stranger = reply({ status: 401, page: { visitor: null } })
    visitor.finish(before, stranger, 3)
    visitor.finish(after, stranger, 3)
    expect([before.loggedIn, after.loggedIn]).toEqual([false, false])
    visitor.finish(logout, reply({ page: { visitor: null } }), 4)
    expect(visitor.stay).toBe('out')
  })

  it('keeps the cookie of the session they logged out of, to look later whether it still opens it', () => {
    const visitor = loggedIn()
    const gone = 'connect.sid=; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT'
    act(visitor, 'logout', reply({ page: { visitor: null }, setCookie: [gone] }))
    expect(visitor.jar.value).toBeUndefined()
    expect(visitor.sessionCookie).toBe('s%3Aone')
  })

  it('may or may not be logged out after a logout without a good answer', () => {
    const visitor = loggedIn()
    act(visitor, 'logout', reply({ status: 503, page: undefined }))
    expect(visitor.stay).toBe('maybe-out')
  })
})

describe('somebody who leaves', () => {
  const second = () => {
    const visitor = new Visitor('v2')
    act(visitor, 'login', reply({ setCookie: [COOKIE], page: { visitor: 'v2', cart: [] } }))
    return visitor
  }

  it('lets a tab work first, every second time, and logs out while it is busy', () => {
    const visitor = second()
    const busy = visitor.begin('logout', 'A', 0, 1)
    expect(busy).toMatchObject({ action: 'add', item: 1, busyFor: 500 })
    expect(visitor.choose('view')).toBe('logout')
    expect(visitor.begin('logout', 'A', 1, 2)).toMatchObject({ action: 'logout', loggedIn: true })
    expect(visitor.choose('add')).toBe('view')
  })

  it('may come back with the old cookie, which changes nothing', () => {
    const visitor = loggedIn()
    const gone = 'connect.sid=; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT'
    act(visitor, 'logout', reply({ page: { visitor: null }, setCookie: [gone] }))
    const back = act(
      visitor,
      'return',
      reply({ status: 401, page: { visitor: null }, setCookie: ['connect.sid=s%3Atwo'] }),
    )
    expect(back).toMatchObject({ action: 'return', session: visitor.session, answer: { cookieChanged: false } })
    expect(visitor.sessionCookie).toBe('s%3Aone')
  })
})

describe('asPage', () => {
  it('reads what the shop shows, and nothing else', () => {
    expect(asPage({ visitor: 'v1', cart: ['a'] })).toEqual({ visitor: 'v1', cart: ['a'] })
    expect(asPage({ visitor: null })).toEqual({ visitor: null })
    for (const other of [undefined, null, 'text', 1, {}, { visitor: 1 }]) expect(asPage(other)).toBeUndefined()
  })
})
