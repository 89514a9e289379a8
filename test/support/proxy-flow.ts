// One direction of one connection through the proxy: messages wait their turn in a queue and leave in order. What is
// delayed, held or black-holed is late, never reordered, and never lost unless a fault says so.
import type { Socket } from 'node:net'
import { type Ending, type Fault, Hold } from './proxy-faults.js'

/** Client to server, or server to client. */
export type Direction = 'up' | 'down'

/** What is wrong at the moment, for all connections. */
export interface Weather {
  /** Milliseconds that a message arriving now is to be late. */
  delayOf(direction: Direction): number
  isSilent(direction: Direction): boolean
  /** Largest number of bytes written at once. */
  readonly sliceBytes: number
}

/** Ends a socket with a reset, unless it has said goodbye already: Node would then destroy it and keep its handle open. */
export function reset(socket: Socket): void {
  if (socket.writableEnded) socket.destroy()
  else socket.resetAndDestroy()
}

type Parcel =
  | { readonly kind: 'message'; readonly dueAt: number; readonly bytes: Buffer; readonly faults: readonly Fault[] }
  | { readonly kind: 'end'; readonly dueAt: number; readonly ending: Ending }

// The real timers, taken when this file loads: a test may install fake ones.
const { setTimeout: startTimer, clearTimeout: stopTimer, setImmediate: nextTurn } = globalThis
const now = performance.now.bind(performance)

/** The queue, and the socket it leaves by. */
export class Flow {
  readonly #direction: Direction
  readonly #to: Socket
  readonly #weather: Weather
  readonly #cut: (ending: Ending) => void
  #queue: Parcel[] = []
  /** How many faults of the first parcel are done with. */
  #faultsDone = 0
  /** How many bytes of the first parcel are written. */
  #written = 0
  #holding: Hold | undefined
  #timer: ReturnType<typeof startTimer> | undefined
  #resting = false
  #state: 'open' | 'deaf' | 'ended' = 'open'

  /** `cut` ends the whole connection. */
  constructor(direction: Direction, to: Socket, weather: Weather, cut: (ending: Ending) => void) {
    this.#direction = direction
    this.#to = to
    this.#weather = weather
    this.#cut = cut
  }

  /** Whether something was swallowed. A byte stream cannot have a hole, so nothing comes after it. */
  get deaf(): boolean {
    return this.#state === 'deaf'
  }

  push(bytes: Buffer, faults: readonly Fault[]): void {
    if (this.#state !== 'open') return
    this.#queue.push({ kind: 'message', dueAt: this.#dueAt(), bytes, faults })
  }

  /** Ends the direction after everything that was pushed. */
  end(ending: Ending): void {
    if (this.#state === 'ended') return
    this.#state = 'ended'
    this.#queue.push({ kind: 'end', dueAt: this.#dueAt(), ending })
  }

  /** Swallows what has not left yet, and what may come. */
  deafen(): void {
    this.#state = 'deaf'
    this.#queue = []
    stopTimer(this.#timer)
  }

  /** Forgets what has not left yet, and what may come. */
  discard(): void {
    this.#state = 'ended'
    this.#queue = []
    stopTimer(this.#timer)
  }

  /** Writes what may leave now. To be called after a push, and whenever the weather changes or a hold is released. */
  drain(): void {
    if (this.#resting) return
    stopTimer(this.#timer)
    for (let parcel = this.#queue[0]; parcel !== undefined; parcel = this.#queue[0]) {
      if (this.#weather.isSilent(this.#direction)) return
      const wait = parcel.dueAt - now()
      if (wait > 0) {
        this.#timer = startTimer(() => this.drain(), Math.ceil(wait))
        return
      }
      if (parcel.kind === 'end') {
        this.#queue = []
        if (parcel.ending === 'reset') reset(this.#to)
        else this.#to.end()
        return
      }
      if (!this.#suffer(parcel.bytes, parcel.faults) || !this.#write(parcel.bytes)) return
      this.#queue.shift()
      this.#faultsDone = 0
      this.#written = 0
      if (this.#resting) return
    }
  }

  /** One that is due before its predecessor still leaves after it. */
  #dueAt(): number {
    return now() + this.#weather.delayOf(this.#direction)
  }

  /** Lets the faults bite a message; false when it goes no further, or not now. */
  #suffer(bytes: Buffer, faults: readonly Fault[]): boolean {
    for (let fault = faults[this.#faultsDone]; fault !== undefined; fault = faults[++this.#faultsDone]) {
      if (fault instanceof Hold) {
        if (this.#holding !== fault) fault.hits++
        this.#holding = fault
        if (!fault.released) return false
        continue
      }
      fault.hits++
      if (fault.action.kind === 'cut') this.#cutAt(bytes.subarray(0, fault.action.pass), fault.action.ending)
      if (fault.action.kind === 'swallow') this.deafen()
      return false
    }
    return true
  }

  /** Cuts the connection once these bytes are written. */
  #cutAt(bytes: Buffer, ending: Ending): void {
    this.discard()
    if (bytes.length === 0) this.#cut(ending)
    else this.#to.write(bytes, () => this.#cut(ending))
  }

  /** Writes a message, or a slice of it, in which case the rest follows in a later turn of the event loop. */
  #write(bytes: Buffer): boolean {
    const slice = bytes.subarray(this.#written, this.#written + this.#weather.sliceBytes)
    this.#written += slice.length
    if (!this.#to.destroyed) this.#to.write(slice)
    if (Number.isFinite(this.#weather.sliceBytes)) this.#rest()
    return this.#written >= bytes.length
  }

  #rest(): void {
    this.#resting = true
    nextTurn(() => {
      this.#resting = false
      this.drain()
    })
  }
}
