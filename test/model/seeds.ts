/** Histories that broke a promise once. They are played before any others, several times each: timing has its part. */
import type { Script } from './steps.js'

export interface Regression {
  /** What was wrong. */
  readonly name: string
  /** Where it was found: the generator may have changed since. */
  readonly found: { readonly seed: number; readonly path: string }
  readonly script: Script
}

export const REGRESSIONS: readonly Regression[] = [
  {
    name: 'a save that was queued undid a later one of its request',
    found: { seed: 205003, path: '66' },
    script: {
      settings: {
        stores: 2,
        degradation: { read: 'stale', save: 'queue', destroy: 'queue' },
        concurrency: 'merge',
        timeout: 60,
        queue: { max: 50, maxBytes: 1000000, maxAge: 300 },
        everyTouch: false,
        resetOnRead: false,
        serializerMs: 0,
        cache: { max: 1, maxStale: 2000 },
        restoreLost: true,
      },
      warm: false,
      short: false,
      steps: [
        { do: 'load', store: 2, visitor: 0, hold: 1, wait: true, word: 'fail' },
        { do: 'touch', hold: 2, think: 0, remember: true, wait: true, word: 'fail' },
        { do: 'load', store: 0, visitor: 0, hold: 3, wait: true, word: 'nonsense' },
        { do: 'pause', ms: 1 },
        { do: 'load', store: 0, visitor: 1, hold: 2, wait: true, word: 'queue' },
        { do: 'restart', store: 1, how: 'close' },
        { do: 'pause', ms: 40 },
        { do: 'advance', store: 1, by: 350 },
        { do: 'touch', hold: 2, think: 0, remember: false, wait: false, word: 'stale-or-blank' },
        { do: 'heal', store: 0 },
        { do: 'load', store: 1, visitor: 0, hold: 0, wait: false },
        { do: 'save', hold: 3, field: 'b', think: 0, over: false, wait: false, word: 'fail' },
        { do: 'save', hold: 1, field: 'c', think: 0, over: false, wait: false, word: 'stale-or-blank' },
        { do: 'load', store: 0, visitor: 0, hold: 2, wait: false, word: 'nonsense' },
        { do: 'load', store: 0, visitor: 1, hold: 3, wait: true, word: 'drop' },
        { do: 'touch', hold: 0, think: 0, remember: false, wait: false, word: 'throws' },
        { do: 'save', hold: 1, field: 'a', think: 0, over: false, wait: false, word: 'stale-or-blank' },
        { do: 'save', hold: 3, field: 'c', think: 0, over: false, wait: false, word: 'fail' },
        { do: 'create', store: 1, visitor: 0, hold: 2, short: false, wait: false, word: 'queue' },
        { do: 'destroy', store: 1, visitor: 0, wait: true, word: 'throws' },
        { do: 'restart', store: 1, how: 'crash' },
        { do: 'save', hold: 1, field: 'b', think: 0, over: false, wait: true },
        { do: 'heal', store: 2 },
        { do: 'set-clock', store: 1, by: 900 },
        { do: 'save', hold: 2, field: 'c', think: 39, over: false, wait: false, word: 'rejects' },
      ],
    },
  },
  {
    name: 'a save that was made before another of its request had merged undid what that one took over',
    found: { seed: 200008, path: '442' },
    script: {
      settings: {
        stores: 3,
        degradation: { read: 'fail', save: 'fail', destroy: 'fail' },
        concurrency: 'merge',
        timeout: 80,
        queue: { max: 1, maxBytes: 1000000, maxAge: 4000 },
        everyTouch: true,
        resetOnRead: false,
        serializerMs: 1,
        cache: { max: 50, maxStale: 2000 },
        restoreLost: true,
      },
      warm: true,
      short: false,
      steps: [
        { do: 'pause', ms: 36 },
        { do: 'save', hold: 1, field: 'c', think: 0, over: false, wait: true, word: 'throws' },
        { do: 'fault', store: 2, fault: { kind: 'delay', up: 15, down: 81, jitter: 0 } },
        { do: 'load', store: 0, visitor: 0, hold: 2, wait: false, word: 'stale' },
        { do: 'save', hold: 0, field: 'a', think: 4, over: false, wait: true, word: 'blank' },
        { do: 'settle' },
        { do: 'load', store: 0, visitor: 1, hold: 3, wait: false, word: 'rejects' },
        { do: 'save', hold: 0, field: 'b', think: 43, over: false, wait: true, word: 'nonsense' },
        { do: 'save', hold: 1, field: 'b', think: 0, over: false, wait: false, word: 'throws' },
        { do: 'save', hold: 0, field: 'a', think: 0, over: false, wait: true, word: 'blank' },
        { do: 'save', hold: 1, field: 'b', think: 0, over: false, wait: true, word: 'rejects' },
        { do: 'destroy', store: 1, visitor: 0, wait: false },
        { do: 'destroy', store: 0, visitor: 0, wait: false, word: 'stale' },
        { do: 'save', hold: 0, field: 'a', think: 39, over: false, wait: false, word: 'rejects' },
      ],
    },
  },
]
