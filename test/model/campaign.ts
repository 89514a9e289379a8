/** Plays many random histories, several at a time, and makes a failure small. */
import fc from 'fast-check'
import { sleep } from '../support/wait.js'
import type { MakeStore } from './app-process.js'
import { judge, type Violation } from './check/index.js'
import type { History } from './history.js'
import { isBusy, isDisturbed } from './lag.js'
import { play } from './play.js'
import { printHistory } from './print.js'
import { type Ground, scripts } from './scripts.js'
import { type Situation, situationsOf } from './situations.js'
import type { Script } from './steps.js'
import { type Plot, World } from './world.js'

export interface CampaignOptions {
  /** Histories in all. */
  readonly runs: number
  readonly seed: number
  readonly make?: MakeStore
  /** Plots of each kind: so many histories at a time. */
  readonly shared?: number
  readonly own?: number
  /** How long a failure is made smaller, ms. @default 60_000 */
  readonly shrinkMs?: number
  /** Hears every so often how far it is. */
  readonly onProgress?: (text: string) => void
}

/** A history that broke a promise, as small as it could be made. */
export interface Failure {
  readonly ground: Ground
  readonly seed: number
  readonly path: string
  readonly script: Script
  readonly violations: readonly Violation[]
  readonly report: string
}

export interface CampaignResult {
  readonly played: number
  readonly seconds: number
  /** Histories that broke a promise while this process was kept from running, and that kept it when played again. */
  readonly disturbed: number
  /** Those that were disturbed each time they were played: nothing can be said of them. */
  readonly unjudged: number
  readonly failures: readonly Failure[]
  /** In how many histories each situation came up. */
  readonly situations: ReadonlyMap<Situation, number>
}

/** How much of the histories is played on ground of their own, where the server itself fails. */
const OWN_SHARE = 0.25
/** How often a smaller script is tried before it counts as good: what fails depends on timing. */
const TRIES = 4
const PROGRESS_MS = 10_000
/** How often a disturbed history is played again. */
const RETRIES = 5
const CALM_MS = 100

/** Plays until all runs are done or one has failed. */
export async function campaign(options: CampaignOptions): Promise<CampaignResult> {
  const { runs, seed, shared = 14, own = 4 } = options
  await using world = await World.open({ shared, own })
  const counts = { played: 0, playing: 0, disturbed: 0, unjudged: 0 }
  const state: State = { ...counts, failures: [], over: false, options, situations: new Map() }
  const startedAt = performance.now()
  const seconds = (): number => (performance.now() - startedAt) / 1_000
  const timer = setInterval(() => options.onProgress?.(progress(state, runs, seconds())), PROGRESS_MS)
  const ownRuns = Math.round(runs * OWN_SHARE)
  const lanes = [
    ...world.shared.map((plot, at) => lane(state, plot, 'shared', shareOf(runs - ownRuns, shared, at), seed + at)),
    ...world.own.map((plot, at) => lane(state, plot, 'own', shareOf(ownRuns, own, at), seed + 1_000 + at)),
  ]
  await Promise.all(lanes).finally(() => clearInterval(timer))
  const { played, disturbed, unjudged, failures, situations } = state
  return { played, disturbed, unjudged, failures, situations, seconds: seconds() }
}

/** Plays one script up to so often; resolves to the first failure. */
export async function replay(script: Script, times: number, make?: MakeStore): Promise<string | undefined> {
  const own = script.steps.some((step) => step.do === 'server')
  await using world = await World.open({ shared: own ? 0 : 1, own: own ? 1 : 0 })
  const plot = (own ? world.own[0] : world.shared[0]) as Plot
  for (let time = 0; time < times; time++) {
    const { history, violations } = await playCalmly(script, plot, make)
    if (violations.length > 0 && !isDisturbed(history.lags)) return printHistory(history, violations)
  }
  return undefined
}

interface Played {
  readonly history: History
  readonly violations: Violation[]
  /** How often it had to be played again. */
  readonly retries: number
}

/** Plays it; again where it breaks a promise while the machine is too busy for that to say much. */
async function playCalmly(script: Script, plot: Plot, make: MakeStore | undefined): Promise<Played> {
  for (let retries = 0; ; retries++) {
    const history = await play(script, plot, make)
    const violations = judge(history)
    if (violations.length === 0 || !isDisturbed(history.lags) || retries === RETRIES) {
      return { history, violations, retries }
    }
    await sleep(CALM_MS * 2 ** retries)
  }
}

interface State {
  played: number
  /** So many histories are on stage now. */
  playing: number
  disturbed: number
  unjudged: number
  readonly failures: Failure[]
  /** A lane has failed: the others need not go on. */
  over: boolean
  readonly options: CampaignOptions
  readonly situations: Map<Situation, number>
}

async function lane(state: State, plot: Plot, ground: Ground, runs: number, seed: number): Promise<void> {
  if (runs === 0) return
  let worst: { script: Script; history: History; violations: Violation[] } | undefined
  let shrinkUntil = Number.POSITIVE_INFINITY
  const holds = async (script: Script): Promise<boolean> => {
    const shrinking = worst !== undefined
    if (shrinking ? performance.now() > shrinkUntil : state.over) return true
    for (let time = 0; time < (shrinking ? TRIES : 1); time++) {
      // On a busy machine fewer at a time are faster, and disturb each other less.
      while (isBusy() && state.playing > 0) await sleep(CALM_MS)
      state.playing++
      const { history, violations, retries } = await playCalmly(script, plot, state.options.make).finally(
        () => state.playing--,
      )
      state.played++
      for (const each of situationsOf(history)) state.situations.set(each, (state.situations.get(each) ?? 0) + 1)
      if (retries > 0) state.disturbed++
      if (violations.length === 0) continue
      if (isDisturbed(history.lags)) {
        state.unjudged++
        continue
      }
      worst = { script, history, violations }
      state.over = true
      shrinkUntil = Math.min(shrinkUntil, performance.now() + (state.options.shrinkMs ?? 60_000))
      return false
    }
    return true
  }
  const details = await fc.check(fc.asyncProperty(scripts(ground), holds), { seed, numRuns: runs })
  if (!details.failed) return
  // Trouble of the harness itself.
  if (worst === undefined) throw details.errorInstance
  const { script, history, violations } = worst
  const path = details.counterexamplePath ?? ''
  const report = [
    `Model test failed: seed ${seed}, path "${path}", ${ground} ground, after ${details.numRuns} histories.`,
    'To keep it, add this to test/model/seeds.ts:',
    JSON.stringify(script),
    printHistory(history, violations),
  ].join('\n')
  state.failures.push({ ground, seed, path, script, violations, report })
}

function shareOf(runs: number, lanes: number, at: number): number {
  return Math.floor(runs / lanes) + (at < runs % lanes ? 1 : 0)
}

function progress({ played, failures, disturbed }: State, runs: number, seconds: number): string {
  const rate = played / seconds
  const left = Math.max(0, (runs - played) / rate / 60)
  const told = [`${rate.toFixed(1)} a second`, `${left.toFixed(1)} min left`, `${failures.length} failed`]
  return `${played} of ${runs} histories, ${told.join(', ')}, ${disturbed} played again`
}
