import { Agent, request } from 'node:http'
import { REQUEST_HEADER } from '../request-header.js'

/** One request of a visitor. */
export interface Call {
  /** The request's number in the history; none for one that is not part of it. */
  readonly number?: number
  readonly port: number
  readonly method: 'GET' | 'POST'
  readonly path: string
  readonly cookie: string | undefined
  readonly body?: Readonly<Record<string, string | number>>
}

/** What came of it: an answer, or the reason why there was none. */
export type Reply =
  | {
      readonly status: number
      readonly headers: Readonly<Record<string, string | undefined>>
      readonly setCookie: readonly string[]
      readonly page: unknown
    }
  | { readonly failure: string }

/** Sends calls over kept-alive connections. */
export interface HttpClient {
  send(call: Call): Promise<Reply>
  close(): void
}

/**
 * Makes a client without a limit on connections, so that slow answers never hold back new requests.
 *
 * @param giveUpAfter when a visitor stops waiting and closes the connection, in ms
 */
export function createHttpClient(giveUpAfter: number): HttpClient {
  const agent = new Agent({ keepAlive: true, maxSockets: Number.POSITIVE_INFINITY })
  return {
    send: (call) => send(agent, call, giveUpAfter),
    close: () => agent.destroy(),
  }
}

function send(agent: Agent, call: Call, giveUpAfter: number): Promise<Reply> {
  return new Promise((resolve) => {
    const body = call.body === undefined ? undefined : JSON.stringify(call.body)
    const outgoing = request(
      {
        agent,
        host: '127.0.0.1',
        port: call.port,
        method: call.method,
        path: call.path,
        headers: {
          ...(call.cookie === undefined ? {} : { cookie: call.cookie }),
          ...(call.number === undefined ? {} : { [REQUEST_HEADER]: call.number }),
          ...(body === undefined
            ? {}
            : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }),
        },
      },
      (incoming) => {
        const chunks: Buffer[] = []
        incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
        incoming.on('error', (error) => settle({ failure: codeOf(error) }))
        incoming.on('end', () => {
          const { 'set-cookie': setCookie = [], ...headers } = incoming.headers
          settle({
            status: incoming.statusCode ?? 0,
            headers: headers as Record<string, string | undefined>,
            setCookie,
            page: parse(Buffer.concat(chunks).toString()),
          })
        })
      },
    )
    const timer = setTimeout(() => {
      settle({ failure: 'gave-up' })
      outgoing.destroy()
    }, giveUpAfter)
    const settle = (reply: Reply) => {
      clearTimeout(timer)
      resolve(reply)
    }
    outgoing.on('error', (error) => settle({ failure: codeOf(error) }))
    outgoing.end(body)
  })
}

function codeOf(error: Error): string {
  return (error as NodeJS.ErrnoException).code ?? error.message
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
