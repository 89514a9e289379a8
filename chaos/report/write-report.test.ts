import { createHash } from 'node:crypto'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { judge } from '../checkers/index.js'
import type { HistoryRecord } from '../records.js'
import { answer, END, HEADER, request } from './test-history.js'
import { dumpDom, elements, parsePage, textOf } from './test-page.js'
import { type WrittenReport, writeReport } from './write-report.js'

const HOSTILE = `</script><img src="https://example.org/x" onerror='alert(1)'>`

const sample = (process: string, at: number, read: 'open' | 'closed'): HistoryRecord => ({
  kind: 'sample',
  process,
  at,
  stall: 1,
  rss: 100_000_000,
  requests: 2,
  store: {
    lanes: { read, save: read, lifetime: read },
    connection: 'ready',
    queue: { saves: 1, destroys: 0, bytes: 9 },
  },
})

/** A logout that did not last, and a page for somebody else. */
const RECORDS: readonly HistoryRecord[] = [
  sample('A', 0, 'closed'),
  request({ start: 100 }),
  { kind: 'fault', fault: 'kill', target: HOSTILE, at: 1000, bites: 1000, ending: 1900, end: 2000 },
  sample('A', 1100, 'open'),
  request({ start: 1200, answer: answer({ status: 503, retryAfter: true, visitor: undefined }) }),
  request({ start: 1300, visitor: HOSTILE, answer: answer({ visitor: 'v2' }) }),
  sample('A', 2100, 'closed'),
  request({ start: 2200 }),
  END,
]

let directory: string
let report: WrittenReport
let page: string

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'report-'))
  const header = { ...HEADER, scenario: HOSTILE }
  const run = { header, records: RECORDS, judgement: judge({ header, records: RECORDS }) }
  const compared = [{ header: { ...header, store: 'memory' as const }, records: RECORDS }]
  report = await writeReport(join(directory, 'kill'), { ...run, compared })
  page = await readFile(report.page, 'utf8')
})

afterAll(() => rm(directory, { recursive: true }))

describe('the page', () => {
  it('is well-formed', () => {
    expect(parsePage(page).errors).toEqual([])
  })

  it('holds nothing that data could have brought in', () => {
    const { document } = parsePage(page)
    expect(elements(document, 'img')).toEqual([])
    expect(elements(document, 'script')).toHaveLength(2)
    const attributes = elements(document).flatMap(({ attrs }) => attrs.map(({ name }) => name))
    expect(attributes.filter((name) => name.startsWith('on') || name === 'style')).toEqual([])
    expect(textOf(document, 'header')).toContain(HOSTILE)
    expect(textOf(document, '#command')).toContain(`npm run chaos -- --scenario ${HOSTILE} --topology`)
    const data = JSON.parse(textOf(document, '#data'))
    expect(data.rows.map(({ visitor }: { visitor: string }) => visitor)).toContain(HOSTILE)
  })

  it('loads nothing, and runs no script but its own', () => {
    const { document } = parsePage(page)
    const sources = elements(document).flatMap(({ attrs }) => attrs.filter(({ name }) => name === 'src'))
    expect(sources).toEqual([])
    expect(elements(document, 'link')).toEqual([])
    const meta = elements(document, 'meta').map(({ attrs }) => Object.fromEntries(attrs.map((a) => [a.name, a.value])))
    const policy = meta.find((attributes) => attributes['http-equiv'] === 'Content-Security-Policy')?.content
    const digest = (text: string) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`
    const [, script] = elements(document, 'script')
    const [style] = elements(document, 'style')
    expect(policy).toContain(
      `default-src 'none'; script-src ${digest(textOf(script!))}; style-src ${digest(textOf(style!))};`,
    )
  })

  it('leads from every link to something that is there', () => {
    const { document } = parsePage(page)
    const ids = elements(document).flatMap(({ attrs }) =>
      attrs.filter(({ name }) => name === 'id').map(({ value }) => value),
    )
    expect(new Set(ids).size).toBe(ids.length)
    const data = JSON.parse(textOf(document, '#data'))
    const rows: { n: number; verdicts: string[] }[] = data.rows
    const there = new Set([
      ...ids,
      ...rows.map(({ n }) => `record-${n}`),
      ...rows.flatMap(({ verdicts }) => verdicts.map((id) => `evidence-${id}`)),
    ])
    const links = elements(document, 'a').map(({ attrs }) => attrs.find(({ name }) => name === 'href')?.value.slice(1))
    expect(links.some((link) => link?.startsWith('evidence-P'))).toBe(true)
    expect(links.filter((link) => !there.has(link ?? ''))).toEqual([])
  })

  it('tells each promise and its verdict', () => {
    const { document } = parsePage(page)
    expect(textOf(document, '#P5')).toMatch(/✗ broken/)
    expect(textOf(document, '#P7')).not.toMatch(/broken/)
    expect(textOf(document, 'header')).toMatch(/of 11 promises broken: .*P5/)
  })

  it('names the licence of what it contains', () => {
    expect(textOf(parsePage(page).document, 'footer')).toMatch(/uPlot [\d.]+\s+The MIT License/)
  })

  it('holds no name of a session', () => {
    expect(page).not.toContain('aaaaaaaaaa')
  })

  it('stays small', () => {
    expect(page.length).toBeLessThan(150_000)
  })
})

describe('summary.json', () => {
  it('holds what was returned', async () => {
    const file = await readFile(join(directory, 'kill', 'summary.json'), 'utf8')
    expect(JSON.parse(file)).toEqual(JSON.parse(JSON.stringify(report.summary)))
    expect(report.summary).toMatchObject({ format: 1, held: false, stores: [{ requests: 4 }, { name: 'MemoryStore' }] })
  })
})

// CHROMIUM=chromium npm test -- chaos/report
const chromium = process.env.CHROMIUM ?? ''

describe.skipIf(chromium === '')('in a browser', () => {
  it('draws every chart and lists the requests', async () => {
    const { document } = parsePage(await dumpDom(chromium, report.page, join(directory, 'profile')))
    expect(elements(document, 'canvas').length).toBe(9)
    expect(textOf(document, '.legend')).toContain('fresh 2')
    expect(textOf(document, '#requests')).toContain('v1')
  })
})
