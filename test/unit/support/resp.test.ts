import { describe, expect, it } from 'vitest'
import { decodeCommand, decodeReply, encodeCommand, isPush, RespError, RespFramer } from '../../support/resp.js'

const replies: readonly (readonly [frame: string, value: unknown])[] = [
  ['+OK\r\n', 'OK'],
  [':-42\r\n', -42],
  ['$5\r\nhe\r\nl\r\n', 'he\r\nl'],
  ['$0\r\n\r\n', ''],
  ['$-1\r\n', null],
  ['*-1\r\n', null],
  ['*0\r\n', []],
  ['*3\r\n$1\r\na\r\n*2\r\n:1\r\n+x\r\n$-1\r\n', ['a', [1, 'x'], null]],
  ['_\r\n', null],
  ['#t\r\n', true],
  ['#f\r\n', false],
  [',1.5\r\n', 1.5],
  [',-inf\r\n', Number.NEGATIVE_INFINITY],
  ['(12345678901234567890\r\n', '12345678901234567890'],
  ['=8\r\ntxt:text\r\n', 'text'],
  ['%2\r\n+a\r\n:1\r\n+b\r\n:2\r\n', ['a', 1, 'b', 2]],
  ['~2\r\n+a\r\n+b\r\n', ['a', 'b']],
  ['|1\r\n+ttl\r\n:9\r\n+value\r\n', 'value'],
  ['>2\r\n+message\r\n+hello\r\n', ['message', 'hello']],
]

describe('replies', () => {
  it.each(replies)('reads %j', (frame, value) => {
    expect(decodeReply(Buffer.from(frame))).toEqual(value)
  })

  it('reads errors with their code, alone and inside arrays', () => {
    const error = decodeReply(Buffer.from('-NOAUTH Authentication required.\r\n'))
    expect(error).toBeInstanceOf(RespError)
    expect(error).toMatchObject({ code: 'NOAUTH', message: 'NOAUTH Authentication required.' })
    expect(decodeReply(Buffer.from('!9\r\nERR wrong\r\n'))).toMatchObject({ code: 'ERR' })
    expect(decodeReply(Buffer.from('*1\r\n-ERR no\r\n'))).toMatchObject([{ code: 'ERR' }])
  })

  it('tells what Redis sends of its own accord', () => {
    expect(isPush(Buffer.from('>1\r\n+invalidate\r\n'))).toBe(true)
    expect(isPush(Buffer.from('*1\r\n+invalidate\r\n'))).toBe(false)
  })

  it('refuses what is not the protocol', () => {
    expect(() => decodeReply(Buffer.from('HTTP/1.1 200 OK\r\n'))).toThrow('not the Redis protocol')
    expect(() => new RespFramer().push(Buffer.from('$many\r\n'))).toThrow('not the Redis protocol')
  })
})

describe('commands', () => {
  it('reads what it writes, bytes included', () => {
    const blob = Buffer.from([0, 13, 10, 255])
    const command = decodeCommand(encodeCommand(['set', 'ключ', blob, 12]))
    expect(command.name).toBe('SET')
    expect(command.args).toEqual([Buffer.from('ключ'), blob, Buffer.from('12')])
  })

  it('reads a line typed by hand', () => {
    expect(decodeCommand(Buffer.from('get  a\r\n'))).toEqual({ name: 'GET', args: [Buffer.from('a')] })
  })
})

describe('RespFramer', () => {
  const frames = replies.map(([frame]) => frame)
  const stream = Buffer.from(frames.join(''))

  it.each([1, 2, 3, 7, 64, 10_000])('cuts a stream that comes in pieces of %i bytes into its messages', (size) => {
    const framer = new RespFramer()
    const cut: string[] = []
    for (let at = 0; at < stream.length; at += size) {
      cut.push(...framer.push(stream.subarray(at, at + size)).map(String))
    }
    expect(cut).toEqual(frames)
    expect(framer.takeRest()).toHaveLength(0)
  })

  it('gives a message only when it is whole', () => {
    const framer = new RespFramer()
    expect(framer.push(Buffer.from('+OK\r\n*2\r\n$1\r\na\r\n$3\r\nbc')).map(String)).toEqual(['+OK\r\n'])
    expect(framer.push(Buffer.from('d\r'))).toEqual([])
    expect(framer.push(Buffer.from('\n+')).map(String)).toEqual(['*2\r\n$1\r\na\r\n$3\r\nbcd\r\n'])
    expect(framer.takeRest().toString()).toBe('+')
  })

  it('joins a large value once, not with every chunk', () => {
    const framer = new RespFramer()
    const value = Buffer.alloc(20 * 1024 * 1024, 'x')
    const message = Buffer.concat([Buffer.from(`$${value.length}\r\n`), value, Buffer.from('\r\n')])
    let found: Buffer[] = []
    for (let at = 0; at < message.length; at += 16_384) found = framer.push(message.subarray(at, at + 16_384))
    expect(found).toHaveLength(1)
    expect(found[0]?.equals(message)).toBe(true)
  })
})
