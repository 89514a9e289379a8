import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { CookieJar } from '../../support/cookie-jar.js'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

function jarWith(...lines: string[]): CookieJar {
  const jar = new CookieJar()
  jar.take(lines, '/')
  return jar
}

describe('CookieJar', () => {
  it('sends back what it was given, and replaces by name', () => {
    const jar = jarWith('sid=s%3Aabc.def=; Path=/; HttpOnly', 'theme=dark')
    expect(jar.header('/any')).toBe('sid=s%3Aabc.def=; theme=dark')
    jar.take(['sid=new; Path=/'], '/')
    expect(jar.get('sid')).toBe('new')
    expect(jar.header('/')).toBe('sid=new; theme=dark')
  })

  it('has nothing to send at first, and after clear()', () => {
    expect(new CookieJar().header('/')).toBeUndefined()
    const jar = jarWith('a=1')
    jar.clear()
    expect(jar.header('/')).toBeUndefined()
  })

  it.each(['a=1; Max-Age=10', `a=1; Expires=${new Date(Date.now() + 10_000).toUTCString()}`])(
    'lets %s expire',
    (line) => {
      const jar = jarWith(line)
      expect(jar.get('a')).toBe('1')
      vi.advanceTimersByTime(10_001)
      expect(jar.get('a')).toBeUndefined()
      expect(jar.header('/')).toBeUndefined()
    },
  )

  it('lets Max-Age win over Expires, and either delete a cookie', () => {
    expect(jarWith('a=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=10').get('a')).toBe('1')
    expect(jarWith('a=1', 'a=; Max-Age=0').header('/')).toBeUndefined()
    expect(jarWith('a=1', 'a=; Expires=Thu, 01 Jan 1970 00:00:00 GMT').header('/')).toBeUndefined()
  })

  it('heeds the path', () => {
    const jar = jarWith('a=1; Path=/admin')
    expect(jar.header('/admin')).toBe('a=1')
    expect(jar.header('/admin/users?page=2')).toBe('a=1')
    expect(jar.header('/administrator')).toBeUndefined()
    expect(jar.header('/')).toBeUndefined()
  })

  it('takes the directory of the request where no path is given', () => {
    const jar = new CookieJar()
    jar.take(['a=1'], '/shop/cart')
    expect(jar.header('/shop/other')).toBe('a=1')
    expect(jar.header('/')).toBeUndefined()
  })

  it('can be given an old cookie, and ignores a line without a name', () => {
    const jar = jarWith('nonsense', '=x')
    jar.set('sid', 'old')
    expect(jar.header('/')).toBe('sid=old')
  })
})
