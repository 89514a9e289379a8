import type { TcpProxy } from '../support/tcp-proxy.js'
import type { Fault } from './steps.js'

/** The store's own commands; a client's handshake has others, which are not counted. */
const COMMANDS = /^(MGET|EVALSHA|EVAL|DEL|PEXPIRE|PTTL|SET|GET)$/

/** Lets a fault loose on a proxy. Resolves to whether it takes no connections from here on. */
export function inflict(proxy: TcpProxy, fault: Fault): boolean {
  switch (fault.kind) {
    case 'blackhole':
      proxy.blackhole(fault.direction)
      return false
    case 'reset':
      proxy.resetAll()
      return false
    case 'fin':
      proxy.finAll()
      return false
    case 'refuse':
      proxy.refuse()
      return true
    case 'partition':
      proxy.refuse()
      proxy.resetAll()
      return true
    case 'delay':
      proxy.delay({ up: fault.up, down: fault.down, jitter: fault.jitter })
      return false
    case 'slice':
      proxy.slice(fault.bytes)
      return false
    case 'cut-before-command':
      proxy.cutBeforeCommand(COMMANDS, { nth: fault.nth })
      return false
    case 'cut-after-command':
      proxy.cutAfterCommand(COMMANDS, { nth: fault.nth })
      return false
    case 'cut-before-reply':
      proxy.cutBeforeReply(COMMANDS, { nth: fault.nth })
      return false
    case 'cut-mid-reply':
      proxy.cutMidReply(COMMANDS, { nth: fault.nth })
      return false
    case 'swallow-reply':
      proxy.swallowReply(COMMANDS, { nth: fault.nth })
      return false
    case 'hold-command':
      proxy.holdCommand(COMMANDS, { nth: fault.nth })
      return false
    case 'hold-reply':
      proxy.holdReply(COMMANDS, { nth: fault.nth })
      return false
  }
}
