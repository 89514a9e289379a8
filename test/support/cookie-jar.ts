/** A cookie as a browser keeps it. */
interface StoredCookie {
  readonly value: string
  readonly path: string
  /** Wall-clock milliseconds; undefined lasts as long as the jar. */
  readonly expiresAt: number | undefined
}

/**
 * The cookies of one visitor to one host: names, values, paths and expiry (RFC 6265, sections 5.2 to 5.4). `Secure` is
 * kept and sent, as browsers do on loopback.
 */
export class CookieJar {
  readonly #cookies = new Map<string, StoredCookie>()

  /** Takes the `Set-Cookie` lines of an answer to a request for `path`. */
  take(lines: readonly string[], path: string): void {
    for (const line of lines) this.#takeOne(line, path)
  }

  /** The `Cookie` header for a request, or nothing where no cookie applies. */
  header(path: string): string | undefined {
    const pairs = [...this.#cookies].filter(([, cookie]) => !isExpired(cookie) && covers(cookie.path, path))
    return pairs.length === 0 ? undefined : pairs.map(([name, { value }]) => `${name}=${value}`).join('; ')
  }

  /** The value of a cookie, as the server wrote it. */
  get(name: string): string | undefined {
    const cookie = this.#cookies.get(name)
    return cookie === undefined || isExpired(cookie) ? undefined : cookie.value
  }

  /** Puts a cookie in, such as an old one that somebody comes back with. */
  set(name: string, value: string): void {
    this.#cookies.set(name, { value, path: '/', expiresAt: undefined })
  }

  clear(): void {
    this.#cookies.clear()
  }

  #takeOne(line: string, path: string): void {
    const [pair = '', ...attributeWords] = line.split(';')
    const equals = pair.indexOf('=')
    if (equals < 1) return
    const attributes = new Map(
      attributeWords.map((word) => {
        const [name = '', ...value] = word.split('=')
        return [name.trim().toLowerCase(), value.join('=').trim()]
      }),
    )
    const ownPath = attributes.get('path')
    this.#cookies.set(pair.slice(0, equals).trim(), {
      value: pair.slice(equals + 1).trim(),
      path: ownPath?.startsWith('/') ? ownPath : path.slice(0, Math.max(1, path.lastIndexOf('/'))),
      expiresAt: expiryOf(attributes),
    })
  }
}

/** `Max-Age` wins over `Expires`. */
function expiryOf(attributes: ReadonlyMap<string, string>): number | undefined {
  const maxAge = attributes.get('max-age')
  if (maxAge !== undefined && /^-?\d+$/.test(maxAge)) return Date.now() + Number(maxAge) * 1_000
  const expires = Date.parse(attributes.get('expires') ?? '')
  return Number.isNaN(expires) ? undefined : expires
}

function isExpired({ expiresAt }: StoredCookie): boolean {
  return expiresAt !== undefined && expiresAt <= Date.now()
}

function covers(cookiePath: string, requestPath: string): boolean {
  const [path = ''] = requestPath.split('?')
  return path === cookiePath || path.startsWith(cookiePath.endsWith('/') ? cookiePath : `${cookiePath}/`)
}
