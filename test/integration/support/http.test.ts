import { once } from 'node:events'
import type { RequestListener } from 'node:http'
import { connect } from 'node:net'
import express from 'express'
import express4 from 'express4'
import fastify from 'fastify'
import { afterEach, describe, expect, it } from 'vitest'
import { closeAll, type ListeningApp, listen } from '../../support/http.js'
import { isListening } from '../../support/ports.js'
import { RequestHungError } from '../../support/visitor.js'
import { settled, until } from '../../support/wait.js'

afterEach(closeAll)

function serve(handler: RequestListener): Promise<ListeningApp> {
  return listen(handler)
}

describe('listen', () => {
  it('takes Express 5, Express 4 and Fastify', async () => {
    const five = express().get('/', (_req, res) => void res.send('five'))
    const four = express4().get('/', (_req, res) => void res.send('four'))
    const fast = fastify()
    fast.get('/', async () => 'fast')
    const apps = [await listen(five), await listen(four), await listen(fast)]
    const answers = await Promise.all(apps.map((app) => app.visitor().get('/')))
    expect(answers.map(({ body }) => body)).toEqual(['five', 'four', 'fast'])
    expect(answers.every(({ complete, status }) => complete && status === 200)).toBe(true)
    expect(new Set(apps.map(({ port }) => port)).size).toBe(3)
  })

  it('is ended by closeAll(), even with a request that hangs', async () => {
    const app = await serve(() => {})
    const hung = app.visitor().get('/')
    await closeAll()
    expect((await settled(hung)).status).toBe('fulfilled')
    expect(await hung).toMatchObject({ status: 0, complete: false })
    expect(await isListening(app.port)).toBe(false)
    await app.close()
  })
})

it('closeAll() does not wait for a connection that nobody ends', async () => {
  const app = await serve((_req, res) => void res.end())
  const idle = connect({ port: app.port, host: '127.0.0.1' })
  idle.on('error', () => {})
  await once(idle, 'connect')
  expect((await settled(closeAll(), { timeoutMs: 2_000 })).status).toBe('fulfilled')
  idle.destroy()
})

describe('Visitor', () => {
  it('keeps cookies from answer to request, each visitor their own', async () => {
    const app = await serve((req, res) => {
      if (req.url === '/login') res.setHeader('set-cookie', ['sid=1; Path=/; HttpOnly', 'theme=dark'])
      if (req.url === '/logout') res.setHeader('set-cookie', 'sid=; Path=/; Max-Age=0')
      res.end(JSON.stringify(req.headers.cookie ?? ''))
    })
    const [ann, bob] = [app.visitor(), app.visitor()]
    const login = await ann.get('/login')
    expect(login.setCookie).toEqual(['sid=1; Path=/; HttpOnly', 'theme=dark'])
    expect(ann.cookies.get('sid')).toBe('1')
    expect((await ann.get('/')).json()).toBe('sid=1; theme=dark')
    expect((await bob.get('/')).json()).toBe('')
    await ann.get('/logout')
    expect((await ann.get('/')).json()).toBe('theme=dark')
  })

  it('posts JSON, text or bytes', async () => {
    const app = await serve((req, res) => {
      let body = ''
      req.on('data', (chunk) => {
        body += chunk
      })
      req.on('end', () => res.end(JSON.stringify([req.method, req.headers['content-type'], body])))
    })
    const visitor = app.visitor()
    expect((await visitor.post('/', { a: 1 })).json()).toEqual(['POST', 'application/json', '{"a":1}'])
    expect((await visitor.post('/', 'text')).json()).toEqual(['POST', 'text/plain', 'text'])
    expect((await visitor.post('/', Buffer.from('raw'))).json()).toEqual(['POST', 'application/octet-stream', 'raw'])
    expect((await visitor.post('/')).json<string[]>()[2]).toBe('')
    const asForm = { headers: { 'content-type': 'application/x-www-form-urlencoded' } }
    expect((await visitor.post('/', 'a=1', asForm)).json<string[]>()[1]).toBe('application/x-www-form-urlencoded')
  })

  it('keeps its connection', async () => {
    const ports = new Set<number | undefined>()
    const app = await serve((req, res) => {
      ports.add(req.socket.remotePort)
      res.end()
    })
    const visitor = app.visitor()
    for (let visit = 0; visit < 5; visit++) await visitor.get('/')
    expect(ports.size).toBe(1)
    // No "timeout=5": the server never ends a connection that the visitor is about to use.
    expect((await visitor.get('/')).headers['keep-alive']).toBeUndefined()
  })

  it.each(['content-length', 'chunked'])('tells a whole answer from one that was cut short (%s)', async (kind) => {
    const text = 'x'.repeat(100_000)
    const app = await serve((req, res) => {
      if (kind === 'content-length') res.setHeader('content-length', text.length)
      res.write(text.slice(0, 50_000), () => {
        if (req.url === '/cut') res.destroy()
        else res.end(text.slice(50_000))
      })
    })
    const visitor = app.visitor()
    const whole = await visitor.get('/whole')
    expect([whole.complete, whole.error, whole.body.length]).toEqual([true, undefined, 100_000])
    const cut = await visitor.get('/cut')
    expect([cut.status, cut.complete]).toEqual([200, false])
    expect(cut.body.length).toBeLessThan(100_000)
    expect(cut.error).toBeInstanceOf(Error)
  })

  it('tells an empty answer from a connection that ended before it', async () => {
    const app = await serve((req, res) => {
      if (req.url === '/cut') req.socket.destroy()
      else res.writeHead(204).end()
    })
    const visitor = app.visitor()
    expect(await visitor.get('/empty')).toMatchObject({ status: 204, complete: true, body: '' })
    expect(await visitor.get('/cut')).toMatchObject({ status: 0, complete: false })
    await app.close()
    expect(await visitor.get('/gone')).toMatchObject({ status: 0, complete: false, error: { code: 'ECONNREFUSED' } })
  })

  it('makes a hang an error, before and after the head', async () => {
    const app = await serve((req, res) => {
      if (req.url === '/half') res.write('half')
    })
    const visitor = app.visitor({ timeoutMs: 50 })
    const silent = visitor.get('/silent')
    await expect(silent).rejects.toBeInstanceOf(RequestHungError)
    await expect(silent).rejects.toThrow('GET /silent: no whole answer within 50 ms (got no status)')
    await expect(visitor.get('/half', { timeoutMs: 500 })).rejects.toThrow('got status 200 and 4 bytes')
  })

  it('ends a request that hung', async () => {
    let ended = false
    const app = await serve((req) => {
      req.socket.on('close', () => {
        ended = true
      })
    })
    await expect(app.visitor({ timeoutMs: 200 }).get('/')).rejects.toThrow(RequestHungError)
    await until(() => ended, { what: 'the server to be told' })
  })

  it('tells how long it took', async () => {
    const app = await serve((_req, res) => void setTimeout(() => res.end(), 30))
    expect((await app.visitor().get('/')).elapsedMs).toBeGreaterThanOrEqual(29)
  })
})
