import type { SessionData } from 'express-session'

/** One way of doing what the others in a comparison do too. It lives in a process of its own, see `worker.ts`. */
export interface Subject {
  /** What it can do, by name. */
  readonly tasks: Readonly<Record<string, Task>>
  readonly close: () => Promise<unknown>
}

/** Does a thing once; `index` counts the calls, so that neighbours in time work on different sessions. */
export type Task = (index: number) => Promise<unknown>

/** What a subject is made from. */
export interface SubjectContext {
  /** Of the run's own Redis. */
  readonly url: string
  /** Size of a serialized session. */
  readonly bytes: number
}

export type CreateSubject = (context: SubjectContext) => Promise<Subject>

/** Sessions that the subjects read and write; more than the highest concurrency, so that no two calls at a time meet. */
export const SESSIONS = 1024
export const PREFIX: string = 'bench:'
export const TTL_SECONDS = 86_400

export function sidOf(index: number): string {
  return `s${String(index % SESSIONS).padStart(31, '0')}`
}

/** Sessions of about so many bytes, an object for each id, as applications have them. */
export function createSessions(bytes: number): SessionData[] {
  return Array.from({ length: SESSIONS }, (_, index) => {
    const session = {
      cookie: {
        originalMaxAge: TTL_SECONDS * 1000,
        expires: new Date(Date.now() + TTL_SECONDS * 1000),
        secure: true,
        httpOnly: true,
        path: '/',
      },
      user: { id: index, name: `user ${index}`, roles: ['reader', 'editor'] },
      cart: [] as { item: number; title: string; count: number }[],
    } as unknown as SessionData & { cart: { item: number; title: string; count: number }[] }
    while (JSON.stringify(session).length < bytes - 40) {
      session.cart.push({ item: session.cart.length, title: 'something to buy', count: 1 })
    }
    return session
  })
}

/** A callback method as a promise, which is how all of them are driven: express-session calls with callbacks. */
export function called<T>(call: (callback: (error: unknown, value?: T) => void) => unknown): Promise<T | undefined> {
  return new Promise((resolve, reject) => {
    call((error, value) => {
      if (error == null) resolve(value)
      else reject(error)
    })
  })
}

/** Writes every session once. */
export async function fill(save: Task): Promise<void> {
  for (let index = 0; index < SESSIONS; index += 64) {
    await Promise.all(Array.from({ length: 64 }, (_, at) => save(index + at)))
  }
}
