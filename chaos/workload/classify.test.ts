import { describe, expect, it } from 'vitest'
import type { Answer, RequestRecord } from '../history.js'
import { answer as answerOf } from '../report/test-history.js'
import { classify, isAcknowledged, isLost } from './classify.js'

const GOOD: Answer = answerOf()

function request({ ...changes }: Partial<RequestRecord> = {}, answer: Partial<Answer> | null = {}): RequestRecord {
  return {
    kind: 'request',
    id: 1,
    visitor: 'v1',
    action: 'view',
    process: 'A',
    start: 1000,
    end: 1010,
    loggedIn: true,
    ...(answer === null ? {} : { answer: { ...GOOD, ...answer } }),
    ...changes,
  }
}

const NOW = 9000

describe('classify', () => {
  it('calls an answer from Redis ok', () => {
    expect(classify(request(), NOW)).toBe('ok')
  })

  it('calls an answer of a store without a word for its source ok', () => {
    expect(classify(request({}, { source: undefined }), NOW)).toBe('ok')
  })

  it.each(['stale', 'queued', 'blank'])('calls an answer marked %s stale', (source) => {
    expect(classify(request({}, { source }), NOW)).toBe('stale')
  })

  it('calls an unmarked answer that lacks something acknowledged stale', () => {
    expect(classify(request({}, { source: 'redis', missing: 1 }), NOW)).toBe('stale')
  })

  it.each([503, 409])('calls status %i refused', (status) => {
    expect(classify(request({}, { status, visitor: undefined }), NOW)).toBe('refused')
  })

  it.each([500, 502, 404])('calls status %i an error', (status) => {
    expect(classify(request({}, { status, visitor: undefined }), NOW)).toBe('error')
  })

  it('calls a dead socket an error', () => {
    expect(classify(request({ failure: 'ECONNRESET' }, null), NOW)).toBe('error')
  })

  it("calls somebody else's session an error", () => {
    expect(classify(request({}, { visitor: 'v2' }), NOW)).toBe('error')
  })

  it('calls a late answer hung, whatever it says', () => {
    expect(classify(request({ end: 2001 }), NOW)).toBe('hung')
    expect(classify(request({ end: 2001 }, { status: 503 }), NOW)).toBe('hung')
  })

  it('waits a second for an answer before it calls the request hung', () => {
    const { end: _, answer: __, ...pending } = request()
    expect(classify(pending, 2000)).toBe('waiting')
    expect(classify(pending, 2001)).toBe('hung')
  })

  it('calls a stranger who is told so ok', () => {
    expect(classify(request({ loggedIn: false }, { status: 401, visitor: null }), NOW)).toBe('ok')
  })
})

describe('a visitor who was logged in', () => {
  it('is lost when treated as a stranger', () => {
    expect(classify(request({}, { status: 401, visitor: null }), NOW)).toBe('lost')
    expect(classify(request({}, { status: 200, visitor: null }), NOW)).toBe('lost')
  })

  it('is lost when given another cookie, even with a page or a refusal', () => {
    expect(classify(request({}, { cookieChanged: true }), NOW)).toBe('lost')
    expect(classify(request({}, { status: 503, visitor: undefined, cookieChanged: true }), NOW)).toBe('lost')
  })

  it('is lost also when the answer came too late to be anything but hung', () => {
    const late = request({ end: 2001 }, { status: 401, visitor: null })
    expect(classify(late, NOW)).toBe('hung')
    expect(isLost(late)).toBe(true)
  })

  it('is not lost by logging out', () => {
    expect(classify(request({ action: 'logout' }, { visitor: null }), NOW)).toBe('ok')
  })

  it('is not lost by an error, nor by silence', () => {
    expect(isLost(request({}, { status: 500, visitor: undefined }))).toBe(false)
    expect(isLost(request({ failure: 'ECONNRESET' }, null))).toBe(false)
  })
})

describe('isAcknowledged', () => {
  it('takes a 200 to a change for an acknowledgement, and nothing else', () => {
    expect(isAcknowledged(request({ action: 'add' }))).toBe(true)
    expect(isAcknowledged(request({ action: 'add' }, { status: 503 }))).toBe(false)
    expect(isAcknowledged(request({ action: 'view' }))).toBe(false)
    expect(isAcknowledged(request({ action: 'add', failure: 'gave-up' }, null))).toBe(false)
  })
})
