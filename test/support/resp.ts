// The Redis protocol, as much of it as tests need: to cut a byte stream into whole messages, to read them, to write
// commands. RESP2 and RESP3: https://redis.io/docs/latest/develop/reference/protocol-spec/

/** What a reply holds once it is read; maps become flat arrays, as in RESP2. */
export type RespValue = string | number | boolean | null | RespError | readonly RespValue[]

/** An error reply. As part of an array it is a value; on its own, whoever sent the command throws it. */
export class RespError extends Error {
  override readonly name = 'RespError'
  /** The reply's first word: `ERR`, `NOAUTH`, `READONLY`… */
  readonly code: string

  constructor(message: string) {
    super(message)
    this.code = message.split(' ', 1)[0] ?? ''
  }
}

/** A command on its way to Redis. */
export interface Command {
  /** In capitals: `GET`. */
  readonly name: string
  readonly args: readonly Buffer[]
}

/** A command as Redis reads it. */
export function encodeCommand(words: readonly (string | number | Buffer)[]): Buffer {
  const parts: Buffer[] = [Buffer.from(`*${words.length}\r\n`)]
  for (const word of words) {
    const bytes = Buffer.isBuffer(word) ? word : Buffer.from(String(word))
    parts.push(Buffer.from(`$${bytes.length}\r\n`), bytes, CRLF)
  }
  return Buffer.concat(parts)
}

/** Reads one whole command, multi-bulk or inline. */
export function decodeCommand(frame: Buffer): Command {
  const words =
    frame[0] === code('*')
      ? bulkWords(frame)
      : frame
          .toString()
          .trim()
          .split(/\s+/)
          .map((word) => Buffer.from(word))
  return { name: (words[0] ?? '').toString().toUpperCase(), args: words.slice(1) }
}

/** Reads one whole reply; strings as UTF-8. */
export function decodeReply(frame: Buffer): RespValue {
  return readValue(frame, 0).value
}

/** Whether a message was sent by Redis of its own accord (RESP3 `>`), and so answers no command. */
export function isPush(frame: Buffer): boolean {
  return frame[0] === code('>')
}

/** Cuts a byte stream into whole messages. One for each direction of each connection. */
export class RespFramer {
  #chunks: Buffer[] = []
  #length = 0
  #needed = 1

  /** The messages that became whole with this chunk. */
  push(chunk: Buffer): Buffer[] {
    this.#chunks.push(chunk)
    this.#length += chunk.length
    // A large value arrives in many chunks: they are joined once, when its announced length is there.
    if (this.#length < this.#needed) return []
    const bytes = this.#chunks.length === 1 ? chunk : Buffer.concat(this.#chunks)

    const frames: Buffer[] = []
    let at = 0
    for (;;) {
      const end = endOfValue(bytes, at)
      if (end < 0) {
        this.#needed = -end - at
        break
      }
      frames.push(bytes.subarray(at, end))
      at = end
    }
    const rest = bytes.subarray(at)
    this.#chunks = rest.length === 0 ? [] : [rest]
    this.#length = rest.length
    return frames
  }

  /** The bytes of a message that has not become whole, which are forgotten here. */
  takeRest(): Buffer {
    const rest = Buffer.concat(this.#chunks)
    this.#chunks = []
    this.#length = 0
    this.#needed = 1
    return rest
  }
}

const CRLF = Buffer.from('\r\n')

function code(character: string): number {
  return character.charCodeAt(0)
}

/** Where the value that starts at `at` ends, or minus the least length of `bytes` at which it could end. */
function endOfValue(bytes: Buffer, at: number): number {
  const lineEnd = bytes.indexOf(CRLF, at)
  if (lineEnd < 0) return -(bytes.length + 1)
  const type = String.fromCharCode(bytes[at] ?? 0)
  const afterLine = lineEnd + 2

  if ('$=!'.includes(type)) {
    const length = lineNumber(bytes, at, lineEnd)
    if (length < 0) return afterLine
    const end = afterLine + length + 2
    return end <= bytes.length ? end : -end
  }
  if ('*~>%|'.includes(type)) {
    // An attribute (`|`) belongs to the value that follows it.
    let children = lineNumber(bytes, at, lineEnd) * ('%|'.includes(type) ? 2 : 1) + (type === '|' ? 1 : 0)
    let end = afterLine
    for (; children > 0; children--) {
      end = endOfValue(bytes, end)
      if (end < 0) return end
    }
    return end
  }
  return afterLine
}

function lineNumber(bytes: Buffer, at: number, lineEnd: number): number {
  const text = bytes.toString('latin1', at + 1, lineEnd)
  if (!/^-?\d+$/.test(text)) throw new Error(`not the Redis protocol: a length of ${JSON.stringify(text.slice(0, 20))}`)
  return Number(text)
}

function bulkWords(frame: Buffer): Buffer[] {
  const words: Buffer[] = []
  let at = frame.indexOf(CRLF) + 2
  while (at < frame.length) {
    const lineEnd = frame.indexOf(CRLF, at)
    const length = lineNumber(frame, at, lineEnd)
    words.push(frame.subarray(lineEnd + 2, lineEnd + 2 + length))
    at = lineEnd + 2 + length + 2
  }
  return words
}

function readValue(bytes: Buffer, at: number): { readonly value: RespValue; readonly end: number } {
  const lineEnd = bytes.indexOf(CRLF, at)
  const type = String.fromCharCode(bytes[at] ?? 0)
  const line = bytes.toString('utf8', at + 1, lineEnd)
  const end = lineEnd + 2
  switch (type) {
    case '+':
    case '(':
      return { value: line, end }
    case '-':
      return { value: new RespError(line), end }
    case ':':
    case ',':
      return { value: Number(line.replace('inf', 'Infinity')), end }
    case '#':
      return { value: line === 't', end }
    case '_':
      return { value: null, end }
    case '$':
    case '=':
    case '!': {
      const length = Number(line)
      if (length < 0) return { value: null, end }
      const text = bytes.toString('utf8', end, end + length)
      // A verbatim string starts with its format: `txt:`.
      const value = type === '!' ? new RespError(text) : type === '=' ? text.slice(4) : text
      return { value, end: end + length + 2 }
    }
    case '|':
      return readValue(bytes, readChildren(bytes, end, Number(line) * 2).end)
    case '%':
      return readChildren(bytes, end, Number(line) * 2)
    case '*':
    case '~':
    case '>':
      return Number(line) < 0 ? { value: null, end } : readChildren(bytes, end, Number(line))
    default:
      throw new Error(`not the Redis protocol: a value of type ${JSON.stringify(type)}`)
  }
}

function readChildren(bytes: Buffer, at: number, count: number): { readonly value: RespValue[]; readonly end: number } {
  const value: RespValue[] = []
  let end = at
  for (let child = 0; child < count; child++) {
    const read = readValue(bytes, end)
    value.push(read.value)
    end = read.end
  }
  return { value, end }
}
