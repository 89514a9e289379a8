/** A browser's memory for the one cookie that a session needs. */
export class CookieJar {
  readonly #name: string
  #value: string | undefined
  #attributes = ''

  constructor(name: string) {
    this.#name = name
  }

  /** The cookie's value, if there is a cookie. */
  get value(): string | undefined {
    return this.#value
  }

  /**
   * Takes the `Set-Cookie` headers of an answer as a browser would. Returns whether the cookie is now another one, or has
   * other attributes (its expiry apart, which every answer moves).
   */
  take(setCookie: readonly string[]): boolean {
    const [value, kept] = [this.#value, this.#attributes]
    for (const line of setCookie) {
      const [pair = '', ...attributes] = line.split(';')
      const equals = pair.indexOf('=')
      if (equals < 0 || pair.slice(0, equals).trim() !== this.#name) continue
      this.#value = isExpired(attributes) ? undefined : pair.slice(equals + 1).trim()
      this.#attributes = lasting(attributes)
    }
    return this.#value !== value || this.#attributes !== kept
  }
}

/** The attributes but for the times, in one order. */
function lasting(attributes: readonly string[]): string {
  const words = attributes.map((attribute) => attribute.trim().toLowerCase())
  return words
    .filter((word) => !/^(expires|max-age)=/.test(word))
    .sort()
    .join(';')
}

function isExpired(attributes: readonly string[]): boolean {
  for (const attribute of attributes) {
    const [name = '', value = ''] = attribute.split('=').map((part) => part.trim())
    if (name.toLowerCase() === 'max-age') return Number(value) <= 0
    if (name.toLowerCase() === 'expires') return Date.parse(value) <= Date.now()
  }
  return false
}
