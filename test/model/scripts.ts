/** Random scripts, as fast-check arbitraries. */
import fc from 'fast-check'
import {
  type Fault,
  FIELDS,
  HOLDS,
  type Script,
  type ServerFault,
  type Settings,
  type Step,
  VISITORS,
  type Word,
} from './steps.js'

/** Which faults a script may hold: those of the server itself need one that no other history uses. */
export type Ground = 'shared' | 'own'

const index = (length: number): fc.Arbitrary<number> => fc.nat(length - 1)
const word = fc.constantFrom<Word>(
  ...(['fail', 'stale', 'blank', 'stale-or-blank', 'drop', 'queue', 'nonsense', 'throws', 'rejects'] as const),
)
const waits = {
  wait: fc.boolean(),
  word: fc.option(word, { nil: undefined, freq: 8 }),
}
const rarely = (oneIn: number): fc.Arbitrary<boolean> => fc.nat(oneIn - 1).map((n) => n === oneIn - 1)
const store = index(3)
const visitor = fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: index(VISITORS) })
const hold = index(HOLDS)
const think = fc.oneof({ weight: 2, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.nat(60) })

const degradation: fc.Arbitrary<Settings['degradation']> = fc.oneof(
  { weight: 2, arbitrary: fc.constant({ read: 'fail', save: 'fail', destroy: 'fail' } as const) },
  { weight: 3, arbitrary: fc.constant({ read: 'stale', save: 'fail', destroy: 'fail' } as const) },
  { weight: 6, arbitrary: fc.constant({ read: 'stale', save: 'queue', destroy: 'queue' } as const) },
  {
    weight: 1,
    arbitrary: fc.record({
      read: fc.constantFrom('fail', 'stale', 'blank', 'stale-or-blank'),
      save: fc.constantFrom('fail', 'drop', 'queue'),
      destroy: fc.constantFrom('fail', 'queue'),
    }),
  },
)

const cache = fc.record({ max: fc.constantFrom(1, 50, 50, 50), maxStale: fc.constantFrom(400, 2_000, 2_000) })

const settings: fc.Arbitrary<Settings> = fc
  .record({
    stores: fc.constantFrom(1, 2, 2, 3, 3),
    degradation,
    concurrency: fc.constantFrom('last-write', 'reject', 'merge'),
    timeout: fc.constantFrom(40, 60, 80),
    cache,
    cached: rarely(2),
    queue: fc.record({
      max: fc.constantFrom(50, 50, 50, 1),
      maxBytes: fc.constantFrom(1_000_000, 1_000_000, 1_000_000, 700),
      maxAge: fc.constantFrom(4_000, 4_000, 300),
    }),
    restoreLost: fc.option(fc.boolean(), { nil: undefined }),
    everyTouch: fc.boolean(),
    resetOnRead: rarely(8),
    serializerMs: fc.oneof({ weight: 2, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.nat(12) }),
  })
  .map(({ cached, restoreLost, ...rest }) => {
    const { cache: bounds, ...without } = rest
    const needsCache = rest.degradation.read.startsWith('stale')
    return {
      ...without,
      ...((needsCache || cached) && { cache: bounds }),
      ...(restoreLost !== undefined && { restoreLost }),
    }
  })

const nth = fc.integer({ min: 1, max: 3 })
const fault: fc.Arbitrary<Fault> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant('blackhole'), direction: fc.constantFrom('both', 'up', 'down') }),
  },
  { weight: 4, arbitrary: fc.record({ kind: fc.constantFrom('reset', 'fin', 'refuse', 'partition', 'partition') }) },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('delay'),
      up: fc.integer({ min: 0, max: 90 }),
      down: fc.integer({ min: 0, max: 90 }),
      jitter: fc.constantFrom(0, 20),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('slice'), bytes: fc.integer({ min: 20, max: 200 }) }) },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constantFrom('cut-before-command', 'cut-after-command', 'cut-before-reply', 'cut-mid-reply'),
      nth,
    }),
  },
  { weight: 4, arbitrary: fc.record({ kind: fc.constantFrom('swallow-reply', 'hold-command', 'hold-reply'), nth }) },
)

const steps = {
  load: fc.record({ do: fc.constant('load'), store, visitor, hold, ...waits }),
  create: fc.record({ do: fc.constant('create'), store, visitor, hold, short: rarely(6), ...waits }),
  save: fc.record({
    do: fc.constant('save'),
    hold,
    field: fc.constantFrom(...FIELDS),
    think,
    over: rarely(20),
    ...waits,
  }),
  touch: fc.record({ do: fc.constant('touch'), hold, think, remember: rarely(3), ...waits }),
  destroy: fc.record({ do: fc.constant('destroy'), store, visitor, ...waits }),
  regenerate: fc.record({ do: fc.constant('regenerate'), store, visitor, hold, ...waits }),
  pause: fc.record({
    do: fc.constant('pause'),
    ms: fc.oneof(
      { weight: 20, arbitrary: fc.integer({ min: 1, max: 40 }) },
      { weight: 6, arbitrary: fc.integer({ min: 50, max: 150 }) },
      // Long enough for a short session to end.
      { weight: 2, arbitrary: fc.constant(1_100) },
    ),
  }),
  settle: fc.record({ do: fc.constant('settle') }),
  setClock: fc.record({ do: fc.constant('set-clock'), store, by: fc.constantFrom(-3_600_000, -900, 900, 7_200_000) }),
  advance: fc.record({ do: fc.constant('advance'), store, by: fc.constantFrom(100, 350, 1_000, 1_900, 5_000) }),
  fault: fc.record({ do: fc.constant('fault'), store: fc.option(store, { nil: undefined }), fault }),
  heal: fc.record({ do: fc.constant('heal'), store: fc.option(store, { nil: undefined }) }),
  restart: fc.record({ do: fc.constant('restart'), store, how: fc.constantFrom('close', 'crash') }),
  server: fc.record({
    do: fc.constant('server'),
    fault: fc.constantFrom<ServerFault>(
      ...([
        'stop-kept',
        'kill-rolled-back',
        'kill-lost',
        'kill-lost',
        'snapshot',
        'pause',
        'full',
        'read-only',
      ] as const),
    ),
  }),
  serverBack: fc.record({ do: fc.constant('server-back') }),
} as const

/** What happens much: logins and logouts, or many requests changing one session. */
type Theme = 'comings-and-goings' | 'contention'

function step(ground: Ground, theme: Theme): fc.Arbitrary<Step> {
  const goings =
    theme === 'contention'
      ? []
      : [
          { weight: 3, arbitrary: steps.create },
          { weight: 5, arbitrary: steps.destroy },
          { weight: 2, arbitrary: steps.regenerate },
        ]
  const always = [
    { weight: 18, arbitrary: steps.load },
    { weight: 18, arbitrary: steps.save },
    { weight: 4, arbitrary: steps.touch },
    { weight: 7, arbitrary: steps.pause },
    { weight: 3, arbitrary: steps.settle },
    { weight: 1, arbitrary: steps.setClock },
    { weight: 1, arbitrary: steps.advance },
    { weight: 2, arbitrary: steps.restart },
    { weight: 1, arbitrary: steps.destroy },
  ]
  const network = ground === 'shared' ? { faults: 10, heals: 6 } : { faults: 4, heals: 2 }
  const faults = [
    { weight: network.faults, arbitrary: steps.fault },
    { weight: network.heals, arbitrary: steps.heal },
  ]
  const own =
    ground === 'shared'
      ? []
      : [
          { weight: 5, arbitrary: steps.server },
          { weight: 5, arbitrary: steps.serverBack },
        ]
  const weighted = [...goings, ...always, ...faults, ...own]
  return fc.oneof(...(weighted as { weight: number; arbitrary: fc.Arbitrary<Step> }[])).map(withoutUndefined)
}

/** Any script for this ground. */
export function scripts(ground: Ground): fc.Arbitrary<Script> {
  const script = (theme: Theme): fc.Arbitrary<unknown> =>
    fc.record({
      settings,
      warm: fc.boolean(),
      short: rarely(10),
      steps: fc.array(step(ground, theme), { minLength: 2, maxLength: 28, size: 'max' }),
    })
  return fc.oneof(script('comings-and-goings'), script('contention')) as fc.Arbitrary<Script>
}

/** The types say absent, fast-check says undefined. */
function withoutUndefined(given: Step): Step {
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as Step
}
