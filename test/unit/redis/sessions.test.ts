import { createHash } from 'node:crypto'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import type { Sent, Settle } from '../../../src/lanes.js'
import type { Link } from '../../../src/redis/connect.js'
import { DELETE_IF, DESTROY, SAVE, TOUCH } from '../../../src/redis/scripts.js'
import { asking, type SaveCommand, SessionCommands, sha1, type WriteRequest } from '../../../src/redis/sessions.js'
import { until } from '../../support/wait.js'

type Call = [name: string, ...args: unknown[]]

interface Setting {
  readonly prefix?: string
  readonly binary?: boolean
  readonly isCluster?: boolean
  /** What the client answers; undefined means null. */
  readonly reply?: (...call: Call) => unknown
  readonly keyPrefix?: string
}

/** Session commands over a client that notes what it is asked. */
function setUp({ prefix = 'sess:', binary = false, isCluster = false, reply, keyPrefix }: Setting = {}): {
  commands: SessionCommands
  link: Link
  calls: Call[]
} {
  const calls: Call[] = []
  const stream = {
    cork: () => calls.push(['cork']),
    uncork: () => calls.push(['uncork']),
  }
  const client = new Proxy({ stream, options: { keyPrefix } } as Record<string, unknown>, {
    get: (target, key: string) =>
      key in target
        ? target[key]
        : (...args: unknown[]) => {
            calls.push([key, ...args])
            return Promise.resolve().then(() => reply?.(key, ...args) ?? null)
          },
  })
  const link = {
    client,
    notAfter: (deadline: number) => `not after ${deadline}`,
    measure: async () => calls.push(['measure']),
  } as unknown as Link
  return {
    commands: new SessionCommands({ prefix, binary, revokeFor: 600_000, onCluster: isCluster }),
    link,
    calls,
  }
}

/** Sends a batch and gathers what each request is told. */
async function outcomes<Request, Reply>(
  send: (link: Link, batch: readonly Sent<Request>[], settle: Settle<Reply>) => void,
  link: Link,
  requests: readonly Request[],
): Promise<unknown[]> {
  const told: unknown[] = []
  let left = requests.length
  const batch = requests.map((request, index) => ({ request, deadline: 1_000 + index }))
  send(link, batch, (index, error, reply) => {
    told[index] = error ?? reply
    left--
  })
  await until(() => left === 0)
  return told
}

const reads = (commands: SessionCommands) => commands.sendReads.bind(commands)
const writes = (commands: SessionCommands) => commands.sendWrites.bind(commands)
const get = (sid: string) => ({ kind: 'get', key: `sess:${sid}` }) as const

describe('reads', () => {
  it('of one batch are one MGET, and each gets its own', async () => {
    const { commands, link, calls } = setUp({ reply: () => ['A', null, 'C'] })
    expect(await outcomes(reads(commands), link, [get('a'), get('b'), get('c')])).toEqual(['A', null, 'C'])
    expect(calls.filter(([name]) => !name.includes('cork'))).toEqual([['mget', ['sess:a', 'sess:b', 'sess:c']]])
  })

  it('of one session in one batch are one question', async () => {
    const { commands, link, calls } = setUp({ reply: () => ['A', 'B'] })
    expect(await outcomes(reads(commands), link, [get('a'), get('b'), get('a')])).toEqual(['A', 'B', 'A'])
    expect(calls.filter(([name]) => !name.includes('cork'))).toEqual([['mget', ['sess:a', 'sess:b']]])
  })

  it('are bytes where the serializer is binary', async () => {
    const { commands, link, calls } = setUp({ binary: true, reply: () => [Buffer.from('A')] })
    expect(await outcomes(reads(commands), link, [get('a')])).toEqual([Buffer.from('A')])
    expect(calls).toEqual([['mgetBuffer', ['sess:a']]])
  })

  it('with questions for the expiry among them get each its own answer', async () => {
    const { commands, link, calls } = setUp({ reply: (name) => (name === 'pttl' ? 5_000 : ['A', 'C']) })
    const requests = [get('a'), { kind: 'pttl', key: 'sess:b' } as const, get('c')]
    expect(await outcomes(reads(commands), link, requests)).toEqual(['A', 5_000, 'C'])
    expect(calls).toEqual([['cork'], ['pttl', 'sess:b'], ['mget', ['sess:a', 'sess:c']], ['uncork']])
  })

  it('fail together where the MGET fails', async () => {
    const trouble = new Error('LOADING')
    const reply = (): never => {
      throw trouble
    }
    const { commands, link } = setUp({ reply })
    expect(await outcomes(reads(commands), link, [get('a'), get('b')])).toEqual([trouble, trouble])
  })

  it('go one by one on Cluster, where each key has its own node', async () => {
    const { commands, link, calls } = setUp({ isCluster: true, reply: (_, key) => `value of ${key}` })
    expect(await outcomes(reads(commands), link, [get('a'), get('b')])).toEqual(['value of sess:a', 'value of sess:b'])
    expect(calls.map(([name]) => name).filter((name) => !name.includes('cork'))).toEqual(['get', 'get'])
  })
})

describe('writes', () => {
  it('leave in order, in one write to the socket, and each gets its own answer', async () => {
    const trouble = new Error('OOM')
    const { commands, link, calls } = setUp({
      reply: (name) => {
        if (name === 'del') throw trouble
        return 1
      },
    })
    const requests = [commands.touch('a', 5_000), commands.expireNow('b'), commands.touch('c', 6_000)]
    expect(await outcomes(writes(commands), link, requests)).toEqual([1, trouble, 1])
    expect(calls).toEqual([
      ['cork'],
      ['pexpire', 'sess:a', 5_000],
      ['del', 'sess:b'],
      ['pexpire', 'sess:c', 6_000],
      ['uncork'],
    ])
  })

  it('alone has nobody to wait for', async () => {
    const { commands, link, calls } = setUp({ reply: () => 1 })
    expect(await outcomes(writes(commands), link, [commands.touch('a', 5_000)])).toEqual([1])
    expect(calls).toEqual([['pexpire', 'sess:a', 5_000]])
  })

  it('go to the node of the key that they say', () => {
    const { commands } = setUp()
    const save = commands.save({ sid: 'a', value: '{}', ttl: 1, guard: { kind: 'none' } })
    const all = [
      save,
      commands.destroy('a'),
      commands.expireNow('a'),
      commands.deleteIf('a', ''),
      commands.touch('a', 1),
    ]
    for (const { key } of [...all, commands.measure('a')]) expect(key).toBe('sess:a')
  })

  it('are told when their callers give up', async () => {
    const { commands, link } = setUp()
    const seen: number[] = []
    const note: WriteRequest = {
      key: 'sess:a',
      send: async (_, deadline) => {
        seen.push(deadline)
      },
    }
    await outcomes(writes(commands), link, [note, note])
    expect(seen).toEqual([1_000, 1_001])
  })
})

describe('neighbours of a kind', () => {
  const save = (sid: string, kind: 'none' | 'present' = 'none'): SaveCommand => {
    return { sid, value: `{"${sid}":1}`, ttl: 60_000, guard: { kind } }
  }
  const sent = (calls: Call[]): Call[] => calls.filter(([name]) => !name.includes('cork'))

  it.each([false, true])('are one command, and each gets its own answer (bytes: %s)', async (binary) => {
    const word = (text: string): unknown => (binary ? Buffer.from(text) : text)
    const { commands, link, calls } = setUp({
      binary,
      reply: () => [word('saved'), [word('error'), word('OOM command not allowed')], word('gone')],
    })
    const digest: SaveCommand = { ...save('b'), guard: { kind: 'digest', digests: ['x', 'absent'] } }
    const requests = [save('a'), digest, save('c', 'present')].map((command) => commands.save(command))
    expect(await outcomes(writes(commands), link, requests)).toEqual([
      { result: 'saved' },
      expect.objectContaining({ name: 'ReplyError', message: 'OOM command not allowed' }),
      { result: 'gone' },
    ])
    const keys = ['sess:a', '{sess:a}:revoked', 'sess:b', '{sess:b}:revoked', 'sess:c', '{sess:c}:revoked']
    const args = [
      ...['{"a":1}', '60000', 'not after 1000', 'none'],
      ...['{"b":1}', '60000', 'not after 1001', '2', 'x', 'absent'],
      ...['{"c":1}', '60000', 'not after 1002', 'present'],
    ]
    expect(sent(calls)).toEqual([[binary ? 'evalshaBuffer' : 'evalsha', SAVE.sha, 6, ...keys, ...args]])
  })

  it('keep their place between others', async () => {
    const { commands, link, calls } = setUp({ reply: (name) => (name === 'evalsha' ? [1, 0] : 1) })
    const requests = [
      ...[commands.expireNow('a'), commands.touch('a', 1), commands.touch('b', 2)],
      ...[commands.expireNow('b'), commands.touch('c', 3)],
    ]
    expect(await outcomes(writes(commands), link, requests)).toEqual([1, 1, 0, 1, 1])
    expect(sent(calls)).toEqual([
      ['del', 'sess:a'],
      ['evalsha', TOUCH.sha, 2, 'sess:a', 'sess:b', '1', '2'],
      ['del', 'sess:b'],
      ['pexpire', 'sess:c', 3],
    ])
  })

  it('are not too many at a time', async () => {
    const { commands, link, calls } = setUp({ reply: (_, __, keys) => Array(keys as number).fill(1) })
    const requests = Array.from({ length: 150 }, (_, n) => commands.touch(`session ${n}`, 1))
    expect(await outcomes(writes(commands), link, requests)).toEqual(Array(150).fill(1))
    expect(sent(calls).map(([, , keys]) => keys)).toEqual([64, 64, 22])
  })

  it('fail together where their command fails', async () => {
    const trouble = new Error('LOADING')
    const reply = (): never => {
      throw trouble
    }
    const { commands, link } = setUp({ reply })
    const requests = [commands.save(save('a')), commands.save(save('b'))]
    expect(await outcomes(writes(commands), link, requests)).toEqual([trouble, trouble])
  })

  it('go one by one on Cluster, where each has its own slot', async () => {
    const { commands, link, calls } = setUp({ isCluster: true, reply: () => ['saved'] })
    const requests = [commands.save(save('a')), commands.save(save('b'))]
    expect(await outcomes(writes(commands), link, requests)).toEqual([{ result: 'saved' }, { result: 'saved' }])
    expect(sent(calls).map(([, , keys]) => keys)).toEqual([2, 2])
  })
})

describe('a save', () => {
  const save = { sid: 'a', value: '{}', ttl: 60_000, guard: { kind: 'none' } } as const

  it('is the script with session and marker, value, ttl, not-after and guard', async () => {
    const { commands, link, calls } = setUp({ reply: () => ['saved'] })
    expect(await commands.save(save).send(link, 1_234)).toEqual({ result: 'saved' })
    expect(calls).toEqual([
      ['evalsha', SAVE.sha, 2, 'sess:a', '{sess:a}:revoked', '{}', '60000', 'not after 1234', 'none'],
    ])
  })

  it('without end has no ttl, and digests follow their guard', async () => {
    const { commands, link, calls } = setUp({ reply: () => ['saved'] })
    await commands
      .save({ ...save, ttl: undefined, guard: { kind: 'digest', digests: ['absent', 'abc'] } })
      .send(link, 1)
    expect(calls[0]?.slice(5)).toEqual(['{}', '', 'not after 1', '2', 'absent', 'abc'])
  })

  it.each(['saved', 'revoked', 'late', 'gone'])("hands over '%s', also where replies are bytes", async (word) => {
    const text = setUp({ reply: () => [word] })
    expect(await text.commands.save(save).send(text.link, 1)).toEqual({ result: word })
    const binary = setUp({ binary: true, reply: () => [Buffer.from(word)] })
    expect(await binary.commands.save(save).send(binary.link, 1)).toEqual({ result: word })
  })

  it('in conflict hands over what is stored', async () => {
    const text = setUp({ reply: () => [['conflict', '{"n":1}']] })
    expect(await text.commands.save(save).send(text.link, 1)).toEqual({ result: 'conflict', stored: '{"n":1}' })
    const bytes = setUp({ binary: true, reply: () => [[Buffer.from('conflict'), Buffer.from([255])]] })
    expect(await bytes.commands.save(save).send(bytes.link, 1)).toEqual({
      result: 'conflict',
      stored: Buffer.from([255]),
    })
  })

  it.each([false, true])(
    'to a Redis that does not know the script is sent with its source (bytes: %s)',
    async (binary) => {
      const { commands, link, calls } = setUp({
        binary,
        reply: (name) => {
          if (name.startsWith('evalsha')) throw new Error('NOSCRIPT No matching script. Please use EVAL.')
          return ['saved']
        },
      })
      expect(await commands.save(save).send(link, 1)).toEqual({ result: 'saved' })
      expect(calls.map(([name, script]) => [name, script])).toEqual([
        [binary ? 'evalshaBuffer' : 'evalsha', SAVE.sha],
        [binary ? 'evalBuffer' : 'eval', SAVE.source],
      ])
      expect(calls[1]?.slice(2)).toEqual(calls[0]?.slice(2))
    },
  )

  it('that fails otherwise is not sent again', async () => {
    const trouble = new Error('OOM command not allowed')
    const { commands, link, calls } = setUp({
      reply: () => {
        throw trouble
      },
    })
    await expect(commands.save(save).send(link, 1)).rejects.toBe(trouble)
    expect(calls).toHaveLength(1)
  })
})

describe('deletes', () => {
  it('by a visitor leave a marker for revokeFor', async () => {
    const { commands, link, calls } = setUp({ prefix: '{app}:' })
    await commands.destroy('a').send(link, 1)
    expect(calls).toEqual([['evalsha', DESTROY.sha, 2, '{app}:a', '{app}:revoked:{app}:a', '600000']])
  })

  it('of a bad value compare it first', async () => {
    const { commands, link, calls } = setUp()
    await commands.deleteIf('a', '{"bad').send(link, 1)
    expect(calls).toEqual([['evalsha', DELETE_IF.sha, 1, 'sess:a', sha1('{"bad')]])
  })
})

it('a key with a brace is fine on one server', () => {
  expect(setUp({ prefix: 'a{b:' }).commands.key('x')).toBe('a{b:x')
})

describe('the check of rights', () => {
  const PROBE = 'sess:session-store-probe'
  const answers = (name: string): unknown => (name === 'evalsha' ? 'gone' : null)

  it('tries what no probe tries, of a key that is never there: a save only where something is stored', async () => {
    const { commands, link, calls } = setUp({ reply: answers })
    await commands.checkRights(link)
    const [[, , , ...save], ...others] = calls as [Call, ...Call[]]
    expect(save).toEqual([PROBE, `{${PROBE}}:revoked`, '', '1', expect.anything(), 'present'])
    expect(others).toEqual([['mget', PROBE], ['pexpire', PROBE, 1], ['pttl', PROBE], ['time']])
    // Not so late that the script ends before it has tried anything.
    expect(Number(String(save[4]).replace('not after ', ''))).toBeGreaterThan(performance.now())
  })

  it('on Cluster takes an id of the server’s own, and does without MGET, which is not used there', async () => {
    const { commands, link, calls } = setUp({ isCluster: true, reply: answers })
    await commands.checkRights(link, 'own')
    expect(calls.map(([name]) => name)).toEqual(['evalsha', 'pexpire', 'pttl', 'time'])
    expect(calls[0]?.slice(3, 5)).toEqual(['sess:own', '{sess:own}:revoked'])
    expect(calls.slice(1, 3)).toEqual([
      ['pexpire', 'sess:own', 1],
      ['pttl', 'sess:own'],
    ])
  })

  it.each(['evalsha', 'mget', 'pexpire', 'pttl', 'time'])('fails where %s may not be called', async (denied) => {
    const trouble = new Error('NOPERM')
    const { commands, link } = setUp({
      reply: (name) => {
        if (name === denied) throw trouble
        return 'gone'
      },
    })
    await expect(commands.checkRights(link)).rejects.toBe(trouble)
  })
})

describe('on Cluster', () => {
  it('a key with a brace and no hash tag is refused before anything is sent', () => {
    const { commands, calls } = setUp({ isCluster: true, prefix: 'a{b:' })
    expect(() => commands.key('x')).toThrow(RangeError)
    expect(() => commands.destroy('x')).toThrow(RangeError)
    expect(() => commands.touch('x', 1)).toThrow(RangeError)
    expect(() => commands.save({ sid: 'x', value: '', ttl: 1, guard: { kind: 'none' } })).toThrow(RangeError)
    expect(calls).toEqual([])
  })

  it('each command is preceded by ASKING where its slot is on its way, the one with the source too', async () => {
    const { commands, link, calls } = setUp({
      isCluster: true,
      reply: (name) => {
        if (name === 'evalsha') throw new Error('NOSCRIPT No matching script. Please use EVAL.')
        return ['saved']
      },
    })
    const save = commands.save({ sid: 'a', value: '{}', ttl: 1, guard: { kind: 'none' } })
    expect(await save.send(asking(link), 1_234)).toEqual({ result: 'saved' })
    expect(calls.map(([name]) => name)).toEqual(['asking', 'evalsha', 'asking', 'eval'])
    expect(calls[1]).toContain('not after 1234')
  })

  it('a refused ASKING is nothing by itself: the command after it says what is wrong', async () => {
    const { link } = setUp({
      reply: (name) => {
        if (name === 'asking') throw new Error('NOPERM')
        return 'A'
      },
    })
    const unhandled: unknown[] = []
    const note = (error: unknown): number => unhandled.push(error)
    process.on('unhandledRejection', note)
    try {
      expect(await asking(link).client.get('sess:a')).toBe('A')
      await nextTurn()
    } finally {
      process.off('unhandledRejection', note)
    }
    expect(unhandled).toEqual([])
  })

  it('the server asked is the same: what is no command, and its clock', async () => {
    const { commands, link, calls } = setUp()
    expect(asking(link).client.options).toBe(link.client.options)
    await commands.measure('a').send(asking(link), 1)
    expect(calls).toEqual([['measure']])
  })
})

describe('a walk', () => {
  async function walk(setting: Setting): Promise<{ found: string[][]; calls: Call[] }> {
    const { commands, link, calls } = setUp(setting)
    const found: string[][] = []
    for await (const sids of commands.scan(link, 10, (reply) => reply)) found.push(sids)
    return { found, calls }
  }

  it('follows the cursor to its end, and cuts the prefix off', async () => {
    const pages: Record<string, unknown> = { '0': ['7', ['sess:a', 'sess:b']], '7': ['0', ['sess:c']] }
    const { found, calls } = await walk({ reply: (_, cursor) => pages[cursor as string] })
    expect(found).toEqual([['a', 'b'], ['c']])
    expect(calls).toEqual([
      ['scan', '0', 'MATCH', 'sess:*', 'COUNT', 10],
      ['scan', '7', 'MATCH', 'sess:*', 'COUNT', 10],
    ])
  })

  it('goes on after a round trip that found nothing', async () => {
    const pages: Record<string, unknown> = { '0': ['7', []], '7': ['0', ['sess:c']] }
    expect((await walk({ reply: (_, cursor) => pages[cursor as string] })).found.flat()).toEqual(['c'])
  })

  it('leaves markers out', async () => {
    const keys = ['{app}:a', '{app}:revoked:{app}:a', '{app}:revoked:{app}:b', '{app}:b']
    expect((await walk({ prefix: '{app}:', reply: () => ['0', keys] })).found).toEqual([['a', 'b']])
    expect((await walk({ prefix: '', reply: () => ['0', ['a', '{a}:revoked', '{b}:revoked']] })).found).toEqual([['a']])
  })

  it('escapes the prefix: MATCH takes a glob', async () => {
    const { calls } = await walk({ prefix: 'a*[b]?:', reply: () => ['0', ['a*[b]?:x']] })
    expect(calls[0]).toEqual(['scan', '0', 'MATCH', 'a\\*\\[b\\]\\?:*', 'COUNT', 10])
  })

  it("adds a client's keyPrefix, which ioredis does not apply to SCAN", async () => {
    const { found, calls } = await walk({ keyPrefix: 'client:', reply: () => ['0', ['client:sess:a']] })
    expect(calls[0]?.[3]).toBe('client:sess:*')
    expect(found).toEqual([['a']])
  })
})

describe('scripts', () => {
  it.each(Object.entries({ SAVE, DESTROY, DELETE_IF }))(
    '%s is called by the SHA-1 of its source',
    (_, { sha, source }) => {
      expect(sha).toBe(createHash('sha1').update(source).digest('hex'))
    },
  )

  it('probes have no side effect: a GET, a SET that only replaces and a DEL, of a key that is never there', async () => {
    const { commands, link, calls } = setUp()
    for (const lane of ['read', 'save', 'lifetime'] as const) await commands.probe(lane, link)
    expect(calls).toEqual([
      ['get', 'sess:session-store-probe'],
      ['set', 'sess:session-store-probe', '', 'XX'],
      ['del', 'sess:session-store-probe'],
    ])
  })
})

it('sha1 is that of the bytes that Redis stores', () => {
  expect(sha1('Ωß🙂')).toBe(sha1(Buffer.from('Ωß🙂')))
  expect(sha1('')).toBe('da39a3ee5e6b4b0d3255bfef95601890afd80709')
})
