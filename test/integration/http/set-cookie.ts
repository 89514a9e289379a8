// What a `Set-Cookie` line says, apart from when.
import { sidIn } from '../visitors.js'

export interface SetCookie {
  readonly name: string
  readonly sid: string
  /** By lower-case name, without `expires`; flags are `''`. */
  readonly attributes: Readonly<Record<string, string>>
  /** Wall-clock milliseconds. */
  readonly expires: number | undefined
}

export function parseSetCookie(line: string): SetCookie {
  const [pair = '', ...words] = line.split('; ')
  const equals = pair.indexOf('=')
  const { expires, ...attributes } = Object.fromEntries(
    words.map((word) => {
      const [name = '', ...value] = word.split('=')
      return [name.toLowerCase(), value.join('=')]
    }),
  ) as Record<string, string>
  return {
    name: pair.slice(0, equals),
    sid: sidIn(pair.slice(equals + 1)),
    attributes,
    expires: expires === undefined ? undefined : Date.parse(expires),
  }
}
