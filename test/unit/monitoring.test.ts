// The alert rules and the dashboard name only what the metrics module exposes, and the dashboard shows all of it.
import { readFileSync } from 'node:fs'
import { Registry } from 'prom-client'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { type OperationOutcome, ResilientStore } from '../../src/index.js'
import { collectMetrics } from '../../src/prometheus.js'

interface Target {
  readonly datasource: { readonly type: string; readonly uid: string }
  readonly expr: string
  readonly refId: string
}

interface Panel {
  readonly id: number
  readonly type: string
  readonly title: string
  readonly datasource: Target['datasource']
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number }
  readonly fieldConfig: { readonly defaults: object; readonly overrides: readonly unknown[] }
  readonly targets: readonly Target[]
}

interface Dashboard {
  readonly id: null
  readonly uid: string
  readonly title: string
  readonly schemaVersion: number
  readonly time: { readonly from: string; readonly to: string }
  readonly panels: readonly Panel[]
  readonly templating: { readonly list: readonly { name: string; type: string; query: unknown; datasource?: object }[] }
  readonly annotations: { readonly list: readonly { readonly expr: string; readonly datasource: object }[] }
}

interface Rule {
  readonly alert: string
  readonly expr: string
  readonly for?: string
  readonly labels: { readonly severity: string }
  readonly annotations: { readonly summary: string; readonly description?: string }
}

const read = (file: string): string => readFileSync(new URL(`../../docs/monitoring/${file}`, import.meta.url), 'utf8')
const dashboard = JSON.parse(read('dashboard.json')) as Dashboard
const { groups } = parse(read('alerts.yml')) as { groups: { name: string; rules: Rule[] }[] }
const rules = groups.flatMap(({ rules }) => rules)
const targets = dashboard.panels.flatMap((panel) => panel.targets)
const expressions = [...targets, ...dashboard.annotations.list, ...rules].map(({ expr }) => expr)
// biome-ignore lint/suspicious/noTemplateCurlyInString: Grafana's own way to name a variable
const DATASOURCE = { type: 'prometheus', uid: '${datasource}' }

/** Labels by the name of each sample, as Prometheus stores it. */
const exposed = new Map<string, readonly string[]>()
const store = new ResilientStore({ redis: 'redis://127.0.0.1:1' })

beforeAll(async () => {
  const register = new Registry()
  await collectMetrics(store, { register })
  const metrics = register.getMetricsAsArray() as unknown as { name: string; type: string; labelNames: string[] }[]
  for (const { name, type, labelNames } of metrics) {
    if (type !== 'histogram') exposed.set(name, labelNames)
    else for (const end of ['_count', '_sum', '_bucket']) exposed.set(name + end, [...labelNames, 'le'])
  }
})

afterAll(() => store.close(1))

/** What a histogram's samples add to its name. */
const PARTS = /_(count|sum|bucket)$/

function namesIn(text: string): string[] {
  return text.match(/\bsession_store_\w+/g) ?? []
}

it('the documentation lists every metric, and no other', () => {
  const table = readFileSync(new URL('../../docs/operations.md', import.meta.url), 'utf8')
  const listed = [...table.matchAll(/^\| `(session_store_\w+)`/gm)].map(([, name]) => name)
  expect(listed.toSorted()).toEqual([...new Set([...exposed.keys()].map((name) => name.replace(PARTS, '')))].toSorted())
})

describe('every expression', () => {
  it('names metrics that exist', () => {
    expect(expressions.length).toBeGreaterThan(30)
    for (const expr of expressions) {
      expect(namesIn(expr), expr).not.toEqual([])
      for (const name of namesIn(expr)) expect([...exposed.keys()], expr).toContain(name)
    }
  })

  it('selects and groups by labels which these have', () => {
    for (const expr of expressions) {
      const known = new Set(['job', 'instance', ...namesIn(expr).flatMap((name) => exposed.get(name) ?? [])])
      for (const [, labels = ''] of expr.matchAll(/(?:by|ignoring) \(([^)]*)\)/g)) {
        for (const label of labels.split(', ')) expect([...known], expr).toContain(label)
      }
      for (const [, name = '', matchers = ''] of expr.matchAll(/(session_store_\w+)\{([^}]*)\}/g)) {
        const labels = ['job', 'instance', ...(exposed.get(name) ?? [])]
        for (const [, label] of matchers.matchAll(/(\w+)=~?"/g)) expect(labels, expr).toContain(label)
      }
    }
  })

  it('selects outcomes and operations by words that are used', () => {
    const outcomes: Record<OperationOutcome, true> = {
      ...{ ok: true, none: true, skipped: true, near: true, stale: true, queued: true, blank: true, dropped: true },
      ...{ down: true, revoked: true, conflict: true, error: true },
    }
    const words = { outcome: Object.keys(outcomes), operation: ['get', 'set', 'touch', 'destroy'] }
    const selected = expressions.flatMap((expr) => [...expr.matchAll(/(outcome|operation)=~?"([^"]+)"/g)])
    expect(selected.length).toBeGreaterThan(10)
    for (const [text, label, values = ''] of selected) {
      for (const value of values.split('|')) expect(words[label as keyof typeof words], text).toContain(value)
    }
  })
})

describe('the dashboard', () => {
  it('shows every metric', () => {
    const shown = new Set(expressions.slice(0, -rules.length).flatMap(namesIn))
    const missing = [...exposed.keys()].filter((name) => !PARTS.test(name) && !shown.has(name))
    expect(missing).toEqual([])
    expect([...shown]).toContain('session_store_operation_duration_seconds_bucket')
    expect([...shown]).toContain('session_store_served_age_seconds_bucket')
  })

  it('has what Grafana needs to load it', () => {
    expect(dashboard).toMatchObject({ id: null, uid: expect.stringMatching(/^[\w-]{1,40}$/), time: { to: 'now' } })
    expect(dashboard.schemaVersion).toBeGreaterThanOrEqual(36)
    const ids = dashboard.panels.map(({ id }) => id)
    expect(new Set(ids).size).toBe(ids.length)
    for (const { title, type, datasource, gridPos, fieldConfig, targets } of dashboard.panels) {
      expect(['stat', 'timeseries', 'state-timeline'], title).toContain(type)
      expect(title).not.toBe('')
      expect(datasource, title).toEqual(DATASOURCE)
      expect(fieldConfig, title).toMatchObject({ defaults: {}, overrides: [] })
      expect(gridPos.x + gridPos.w, title).toBeLessThanOrEqual(24)
      expect(targets, title).not.toEqual([])
      expect(new Set(targets.map(({ refId }) => refId)).size, title).toBe(targets.length)
      for (const target of targets) expect(target.datasource, title).toEqual(DATASOURCE)
    }
  })

  it('lays no panel over another', () => {
    const cells = dashboard.panels.flatMap(({ gridPos: { x, y, w, h } }) =>
      Array.from({ length: w * h }, (_, n) => `${x + (n % w)},${y + Math.floor(n / w)}`),
    )
    expect(new Set(cells).size).toBe(cells.length)
  })

  it('lets one choose where the metrics are, and uses no variable that it does not define', () => {
    const variables = dashboard.templating.list
    expect(variables[0]).toMatchObject({ name: 'datasource', type: 'datasource', query: 'prometheus' })
    for (const variable of variables.slice(1)) expect(variable).toMatchObject({ type: 'query', datasource: DATASOURCE })
    const defined = new Set([...variables.map(({ name }) => name), '__rate_interval', '__range', '__interval', '__all'])
    for (const [, name = ''] of JSON.stringify(dashboard).matchAll(/\$\{?(\w+)/g)) expect([...defined]).toContain(name)
  })
})

describe('the alert rules', () => {
  it('have names of their own, a severity and a summary', () => {
    expect(new Set(rules.map(({ alert }) => alert)).size).toBe(rules.length)
    for (const rule of rules) {
      expect(rule, rule.alert).toMatchObject({
        alert: expect.stringMatching(/^Sessions?[A-Z]\w+$/),
        labels: { severity: expect.stringMatching(/^(critical|warning)$/) },
        annotations: { summary: expect.stringMatching(/\S/) },
      })
      expect(rule.for ?? '0m').toMatch(/^\d+m$/)
    }
  })

  it('name only metrics that exist in what they tell people, too', () => {
    for (const { annotations } of rules) {
      for (const name of namesIn(`${annotations.summary} ${annotations.description}`)) {
        expect([...exposed.keys()]).toContain(name)
      }
    }
  })
})
