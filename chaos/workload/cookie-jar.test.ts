import { expect, it } from 'vitest'
import { CookieJar } from './cookie-jar.js'

it('is empty at first', () => {
  expect(new CookieJar('a').value).toBeUndefined()
})

it('keeps its cookie, and leaves others alone', () => {
  const jar = new CookieJar('a')
  expect(jar.take(['b=2', 'a=1; Path=/; HttpOnly', 'aa=3'])).toBe(true)
  expect(jar.value).toBe('1')
})

it('keeps an equals sign in the value', () => {
  const jar = new CookieJar('a')
  jar.take(['a=x=y'])
  expect(jar.value).toBe('x=y')
})

it('tells whether the cookie changed', () => {
  const jar = new CookieJar('a')
  jar.take(['a=1'])
  expect(jar.take(['a=1'])).toBe(false)
  expect(jar.take([])).toBe(false)
  expect(jar.take(['a=2'])).toBe(true)
})

it.each(['Expires=Thu, 01 Jan 1970 00:00:00 GMT', 'Max-Age=0'])('forgets a cookie with %s', (attribute) => {
  const jar = new CookieJar('a')
  jar.take(['a=1'])
  expect(jar.take([`a=; Path=/; ${attribute}`])).toBe(true)
  expect(jar.value).toBeUndefined()
})

it('keeps a cookie that expires later', () => {
  const jar = new CookieJar('a')
  jar.take(['a=1; Max-Age=60', 'a=1; Expires=Fri, 01 Jan 2100 00:00:00 GMT'])
  expect(jar.value).toBe('1')
})

it('tells whether attributes changed, but for the expiry', () => {
  const jar = new CookieJar('a')
  jar.take(['a=1; Path=/; HttpOnly; Max-Age=60'])
  expect(jar.take(['a=1; httponly; path=/; Max-Age=50'])).toBe(false)
  expect(jar.take(['a=1; Path=/; Max-Age=50'])).toBe(true)
})
