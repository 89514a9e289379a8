/** A browser's memory for the one cookie that a session needs. */
export class CookieJar {
  readonly #name: string
  #value: string | undefined

  constructor(name: string) {
    this.#name = name
  }

  /** The `Cookie` header to send, if there is a cookie. */
  get header(): string | undefined {
    return this.#value === undefined ? undefined : `${this.#name}=${this.#value}`
  }

  /** Takes the `Set-Cookie` headers of an answer as a browser would. Returns whether the cookie is now another one. */
  take(setCookie: readonly string[]): boolean {
    const before = this.#value
    for (const line of setCookie) {
      const [pair = '', ...attributes] = line.split(';')
      const equals = pair.indexOf('=')
      if (equals < 0 || pair.slice(0, equals).trim() !== this.#name) continue
      this.#value = isExpired(attributes) ? undefined : pair.slice(equals + 1).trim()
    }
    return this.#value !== before
  }
}

function isExpired(attributes: readonly string[]): boolean {
  for (const attribute of attributes) {
    const [name = '', value = ''] = attribute.split('=').map((part) => part.trim())
    if (name.toLowerCase() === 'max-age') return Number(value) <= 0
    if (name.toLowerCase() === 'expires') return Date.parse(value) <= Date.now()
  }
  return false
}
