import { Agent, type ClientRequest, type IncomingHttpHeaders, type IncomingMessage, request } from 'node:http'
import { CookieJar } from './cookie-jar.js'

/** How a visitor behaves. */
export interface VisitorOptions {
  /** Milliseconds for a whole answer. @default 5000 */
  readonly timeoutMs?: number
}

/** One request. */
export interface VisitOptions extends VisitorOptions {
  readonly headers?: Readonly<Record<string, string>>
}

/** What came back, be it half an answer or none. */
export interface Answer {
  /** 0 when the connection ended before any status line. */
  readonly status: number
  readonly headers: IncomingHttpHeaders
  /** As UTF-8; as much of it as arrived. */
  readonly body: string
  /** The `Set-Cookie` lines; empty for none. */
  readonly setCookie: readonly string[]
  /** Whether the answer arrived whole: all of its Content-Length, or its last chunk. */
  readonly complete: boolean
  readonly elapsedMs: number
  /** Why it is not whole. */
  readonly error: Error | undefined
  /** The body as JSON. @throws {SyntaxError} when it is not. */
  json<T = unknown>(): T
}

/** A request whose answer did not arrive in time: a hang, which no visitor would call an answer. */
export class RequestHungError extends Error {
  override readonly name = 'RequestHungError'
  readonly code = 'EREQUESTHUNG'
}

const now = performance.now.bind(performance)
const { setTimeout: startTimer, clearTimeout: stopTimer } = globalThis

/**
 * Somebody with a browser: keeps cookies and connections, follows no redirects, repeats nothing. An answer that breaks off
 * is an {@link Answer} that says so; one that does not come is a {@link RequestHungError}.
 */
export class Visitor {
  readonly cookies = new CookieJar()
  readonly #base: string
  readonly #timeoutMs: number
  readonly #agent = new Agent({ keepAlive: true })

  /** `base` is the URL of the application, without a slash at the end. */
  constructor(base: string, { timeoutMs = 5_000 }: VisitorOptions = {}) {
    this.#base = base
    this.#timeoutMs = timeoutMs
  }

  get(path: string, options: VisitOptions = {}): Promise<Answer> {
    return this.request('GET', path, undefined, options)
  }

  /** A string or bytes are sent as they are, anything else as JSON. */
  post(path: string, body?: unknown, options: VisitOptions = {}): Promise<Answer> {
    return this.request('POST', path, body, options)
  }

  /** @throws {RequestHungError} when the whole answer is not there in time. */
  async request(method: string, path: string, body?: unknown, options: VisitOptions = {}): Promise<Answer> {
    const content = contentOf(body)
    const cookie = this.cookies.header(path)
    const headers = {
      ...(content !== undefined && { 'content-type': content.type, 'content-length': String(content.bytes.length) }),
      ...(cookie !== undefined && { cookie }),
      ...options.headers,
    }
    const sent = request(this.#base + path, { method, agent: this.#agent, headers })
    const answer = exchange(sent, content?.bytes, options.timeoutMs ?? this.#timeoutMs)
    sent.on('response', (response) => this.cookies.take(response.headers['set-cookie'] ?? [], path))
    return answer
  }

  /** Ends its connections. */
  close(): void {
    this.#agent.destroy()
  }
}

function contentOf(body: unknown): { readonly type: string; readonly bytes: Buffer } | undefined {
  if (body === undefined) return undefined
  if (Buffer.isBuffer(body)) return { type: 'application/octet-stream', bytes: body }
  if (typeof body === 'string') return { type: 'text/plain', bytes: Buffer.from(body) }
  return { type: 'application/json', bytes: Buffer.from(JSON.stringify(body)) }
}

/** Sends the request and gathers what comes, until it is whole, broken off or late. */
function exchange(sent: ClientRequest, bytes: Buffer | undefined, timeoutMs: number): Promise<Answer> {
  const startedAt = now()
  const chunks: Buffer[] = []
  let response: IncomingMessage | undefined
  return new Promise((resolve, reject) => {
    const finish = (error?: Error): void => {
      stopTimer(timer)
      resolve(answerOf(response, chunks, now() - startedAt, error))
    }
    const timer = startTimer(() => {
      const got = response === undefined ? 'no status' : `status ${response.statusCode} and ${sizeOf(chunks)} bytes`
      reject(new RequestHungError(`${sent.method} ${sent.path}: no whole answer within ${timeoutMs} ms (got ${got})`))
      sent.destroy()
    }, timeoutMs)
    sent.on('error', finish)
    sent.on('response', (incoming) => {
      response = incoming
      incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
      incoming.on('error', finish)
      incoming.on('close', () => finish())
    })
    sent.end(bytes)
  })
}

function answerOf(
  response: IncomingMessage | undefined,
  chunks: readonly Buffer[],
  elapsedMs: number,
  failure: Error | undefined,
): Answer {
  const body = Buffer.concat(chunks).toString()
  const complete = response?.complete ?? false
  return {
    status: response?.statusCode ?? 0,
    headers: response?.headers ?? {},
    body,
    setCookie: response?.headers['set-cookie'] ?? [],
    complete,
    elapsedMs,
    error: complete ? undefined : (failure ?? new Error('the connection ended before the answer did')),
    json: () => JSON.parse(body),
  }
}

function sizeOf(chunks: readonly Buffer[]): number {
  return chunks.reduce((sum, chunk) => sum + chunk.length, 0)
}
