/** The checkers' findings in words. Pure. */
import { type Finding, type Judgement, PROMISES, type PromiseName } from '../checkers/index.js'
import type { Verdict } from './model.js'
import { count, counted } from './words.js'

export function promisesOf({ promises }: Judgement): Verdict[] {
  return Object.entries(PROMISES).map(([id, { title }]) => verdictOf(id, title, promises[id as PromiseName]))
}

export function besidesOf({ policy, soundness }: Judgement): Verdict[] {
  return [
    verdictOf('policy', 'what the application chose is what happened', policy),
    ...Object.entries(soundness).map(([title, finding], index) => verdictOf(`S${index + 1}`, title, finding)),
  ]
}

function verdictOf(id: string, title: string, finding: Finding): Verdict {
  const { verdict } = finding
  switch (verdict) {
    case 'not-exercised':
      return { id, title, verdict, found: finding.why, checked: 0, breaches: 0, evidence: [] }
    case 'held': {
      const { checked, of } = finding
      return { id, title, verdict, found: `no breach in ${count(checked)} ${of}`, checked, breaches: 0, evidence: [] }
    }
    case 'broken': {
      const { checked, of, breaches, evidence } = finding
      const found = `${counted(breaches, 'breach')}; looked at: ${count(checked)} ${of}`
      return { id, title, verdict, found, checked, breaches, evidence }
    }
  }
}
