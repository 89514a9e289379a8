/** What histories came across, counted: a model test that never meets an outage proves nothing. */
import { Facts, howSaved } from './check/facts.js'
import { mayBeStoredUntil } from './check/resurrection.js'
import type { History, Operation } from './history.js'

/** Everything that a thousand histories are sure to come across. */
export const SITUATIONS = [
  'read from Redis',
  'read stale',
  'read a waiting change',
  'read blank',
  'read nothing',
  'read failed',
  'save written',
  'save queued',
  'save dropped',
  'save failed',
  'save failed, and stored before that',
  'save refused: revoked',
  'save refused: conflict',
  'save over a session of another request',
  'destroy confirmed',
  'destroy queued or failed',
  'touch sent',
  'touch dropped',
  'touch saved',
  'replayed save',
  'replay met a conflict',
  'replay met a revocation',
  'merged',
  'restored',
  'lost at shutdown',
  'queue full',
  'another server answered',
  'session ended by itself',
  'store crashed',
  'store closed',
] as const

export type Situation = (typeof SITUATIONS)[number]

/** Which of them a history shows. */
export function situationsOf(history: History): Set<Situation> {
  const facts = new Facts(history)
  const found = new Set<Situation>()
  for (const operation of history.operations) for (const each of ofOperation(facts, operation)) found.add(each)
  for (const { end, outcomes } of history.stores) {
    if (end !== undefined) found.add(end.how === 'crashed' ? 'store crashed' : 'store closed')
    for (const { record } of outcomes) {
      if (record.type === 'replayed' && record.operation === 'set') found.add('replayed save')
      if (record.type === 'conflict' && record.resolution === 'merged') found.add('merged')
      if (record.type === 'conflict' && record.queued && record.resolution === 'refused')
        found.add('replay met a conflict')
      if (record.type === 'revoked' && record.queued) found.add('replay met a revocation')
      if (record.type === 'restored') found.add('restored')
      if (record.type === 'dropped' && record.reason === 'shutdown') found.add('lost at shutdown')
    }
  }
  for (const { write, before } of facts.database.stored) {
    const [save] = facts.savesOf.get(write.content.version) ?? []
    const theirs = before.content && facts.makerOf(before.content.version)
    if (save !== undefined && theirs !== undefined && theirs.id !== save.handle) {
      found.add('save over a session of another request')
    }
  }
  const sessions = [...facts.database.states.values()]
  const ended = sessions.some((states) =>
    states.some((state) => state.content && state.expiresAt < history.end.recoveredAt),
  )
  if (ended) found.add('session ended by itself')
  if (history.writes.some(({ kind }) => kind === 'server')) found.add('another server answered')
  return found
}

function ofOperation(facts: Facts, operation: Operation): Situation[] {
  const { ended, name, told, content } = operation
  if (ended === undefined) return []
  switch (ended.kind) {
    case 'session':
      return [SOURCES[ended.source as keyof typeof SOURCES]]
    case 'blank':
      return ['read blank']
    case 'none':
      return ['read nothing']
    case 'failed':
      return failed(facts, operation, ended)
    case 'done': {
      if (name === 'destroy') return [told.length > 0 ? 'destroy queued or failed' : 'destroy confirmed']
      if (name === 'touch' && content === undefined) {
        const sent = facts.history.writes.some((write) => write.kind === 'expire' && write.sid === operation.sid)
        return sent ? ['touch sent'] : []
      }
      const how = howSaved(facts.history, operation)
      return [...(name === 'touch' ? (['touch saved'] as const) : []), ...(how ? ([`save ${how}`] as const) : [])]
    }
  }
}

const SOURCES = { redis: 'read from Redis', stale: 'read stale', queued: 'read a waiting change' } as const

function failed(facts: Facts, operation: Operation, { code, reason }: { code: string; reason?: string }): Situation[] {
  const { name, content } = operation
  if (reason === 'queue-full') return ['queue full']
  if (code === 'ESESSIONREVOKED') return ['save refused: revoked']
  if (code === 'ESESSIONCONFLICT') return ['save refused: conflict']
  if (name === 'get') return ['read failed']
  if (name === 'destroy') return ['destroy queued or failed']
  if (content === undefined) return ['touch dropped']
  const stored = facts.database.stored.some(
    ({ write }) => write.content.version === content.version && write.at <= mayBeStoredUntil(facts, operation),
  )
  return stored ? ['save failed, and stored before that'] : ['save failed']
}
