// Nothing a test started may outlive it, even when the test process is killed with SIGKILL and can run no handler: one
// small shell per process holds the other end of a pipe, and does the remaining clean-up when that pipe closes.
import { type ChildProcess, spawn } from 'node:child_process'
import type { Socket } from 'node:net'

// Lines are `+ ID COMMAND` and `- ID`. What was registered last is done first: processes before their directories.
const WATCHDOG = `
jobs=''
while read -r change id command; do
  case $change in
    +) eval "job_$id=\\$command"; jobs="$id $jobs" ;;
    -) unset "job_$id" ;;
  esac
done
for id in $jobs; do
  eval "command=\\\${job_$id-}"
  eval "$command"
done >/dev/null 2>&1
`

let watchdog: ChildProcess | undefined
let lastId = 0

/**
 * Has a shell command run when this process ends, however it ends. Returns a function that calls it off.
 * @throws {RangeError} for a command of more than one line.
 */
export function guard(command: string): () => void {
  if (command.includes('\n')) throw new RangeError('a guard command is one line')
  watchdog ??= startWatchdog()
  const { stdin } = watchdog
  const id = ++lastId
  stdin?.write(`+ ${id} ${command}\n`)
  return () => void stdin?.write(`- ${id}\n`)
}

/** Kills a process of ours when this one ends. To be called off as soon as it has exited: its number is used again. */
export function guardProcess(pid: number): () => void {
  return guard(`kill -9 ${pid}`)
}

/** Removes a directory of ours when this process ends. */
export function guardDirectory(path: string): () => void {
  return guard(`rm -rf ${quote(path)}`)
}

/** A word as the shell reads it back unchanged. */
export function quote(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`
}

function startWatchdog(): ChildProcess {
  // In a process group of its own, since Ctrl-C and a CI's clean-up reach all of ours.
  const child = spawn('/bin/sh', ['-c', WATCHDOG], { stdio: ['pipe', 'ignore', 'ignore'], detached: true })
  child.on('error', () => {})
  child.stdin.on('error', () => {})
  // It must not keep this process alive: the end of this process is what it waits for.
  child.unref()
  ;(child.stdin as Socket).unref()
  return child
}
