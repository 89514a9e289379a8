import type { IncomingMessage } from 'node:http'
import { describe, expect, it } from 'vitest'
import { inherit, noteAttempt, type Provenance, provenanceOf, remember } from '../../src/provenance.js'

function from(sid: string, source: Provenance['source'] = 'redis'): Provenance {
  return { sid, source, raw: '{}', confirmedAt: 1, originalMaxAge: null, attempts: [], begun: 0, kept: 0 }
}

function request(): IncomingMessage {
  return {} as IncomingMessage
}

describe('where a session came from', () => {
  it('is known by the session itself, without a request', () => {
    const session = {}
    const provenance = from('abc')
    remember(session, undefined, provenance)
    expect(provenanceOf(session, 'abc', undefined)).toBe(provenance)
    expect(provenanceOf(session, 'abc', request())).toBe(provenance)
  })

  it('is unknown for a session that nobody remembered', () => {
    remember({}, undefined, from('abc'))
    expect(provenanceOf({}, 'abc', undefined)).toBeUndefined()
    expect(provenanceOf({}, 'abc', request())).toBeUndefined()
  })

  it('is known by request and sid where `set` gets another object than `get` gave', () => {
    const req = request()
    const provenance = from('abc')
    remember({}, req, provenance)
    expect(provenanceOf({}, 'abc', req)).toBe(provenance)
    expect(provenanceOf({}, 'abc', request())).toBeUndefined()
    expect(provenanceOf({}, 'other', req)).toBeUndefined()
  })

  it('is kept apart for the sessions of one request', () => {
    const req = request()
    const [one, other] = [from('one'), from('other', 'stale')]
    remember({}, req, one)
    remember({}, req, other)
    expect(provenanceOf({}, 'one', req)).toBe(one)
    expect(provenanceOf({}, 'other', req)).toBe(other)
  })

  it('is the latest one of a sid', () => {
    const req = request()
    const later = from('abc', 'stale')
    remember({}, req, from('abc'))
    remember({}, req, later)
    expect(provenanceOf({}, 'abc', req)).toBe(later)
  })

  it('is that of the object itself where the request knows another', () => {
    const req = request()
    const session = {}
    const own = from('abc')
    remember(session, undefined, own)
    remember({}, req, from('abc', 'stale'))
    expect(provenanceOf(session, 'abc', req)).toBe(own)
  })

  it('belongs to the id it was loaded under: saved under another id, the object is new', () => {
    const session = {}
    remember(session, undefined, from('abc'))
    expect(provenanceOf(session, 'copy', undefined)).toBeUndefined()
    expect(provenanceOf(session, 'copy', request())).toBeUndefined()
  })

  it('leaves no trace in the session', () => {
    const session = { user: 'ann' }
    remember(session, request(), from('abc'))
    expect(Reflect.ownKeys(session)).toEqual(['user'])
    expect(JSON.stringify(session)).toBe('{"user":"ann"}')
  })

  it('is remembered for a frozen session too', () => {
    const session = Object.freeze({ user: 'ann' })
    remember(session, undefined, from('abc'))
    expect(provenanceOf(session, 'abc', undefined)?.source).toBe('redis')
  })
})

describe('inherit', () => {
  it('hands it to the live session that express-session makes', () => {
    const [data, live] = [{}, {}]
    const provenance = from('abc')
    remember(data, undefined, provenance)
    inherit(live, data)
    expect(provenanceOf(live, 'abc', undefined)).toBe(provenance)
    expect(provenanceOf(data, 'abc', undefined)).toBe(provenance)
  })

  it('both see what becomes of it later', () => {
    const [data, live] = [{}, {}]
    remember(data, undefined, from('abc'))
    inherit(live, data)
    const provenance = provenanceOf(live, 'abc', undefined)
    if (provenance !== undefined) provenance.source = 'queued'
    expect(provenanceOf(data, 'abc', undefined)?.source).toBe('queued')
  })

  it('has nothing to hand on where nothing is known', () => {
    const live = {}
    inherit(live, {})
    expect(provenanceOf(live, 'abc', undefined)).toBeUndefined()
    const own = from('abc')
    remember(live, undefined, own)
    inherit(live, {})
    expect(provenanceOf(live, 'abc', undefined)).toBe(own)
  })
})

describe('noteAttempt', () => {
  it('remembers the payloads of failed saves, the latest last', () => {
    const provenance = from('abc')
    noteAttempt(provenance, 'one')
    noteAttempt(provenance, Buffer.from('two'))
    expect(provenance.attempts).toEqual(['one', Buffer.from('two')])
  })

  it('remembers a few: beyond that the oldest goes', () => {
    const provenance = from('abc')
    for (let n = 1; n <= 100; n++) noteAttempt(provenance, `payload ${n}`)
    expect(provenance.attempts).toEqual(['payload 97', 'payload 98', 'payload 99', 'payload 100'])
  })
})
