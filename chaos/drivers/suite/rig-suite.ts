/** The suite that every driver passes: each fault bites, ends, and leaves the rig whole. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Driver, Fault, Injected, Rig, Topology } from '../contract.js'
import { Bench, type BenchOptions } from './bench.js'
import { ELECTION_ROWS } from './election-rows.js'
import { CALL_ROWS, type Row } from './rows.js'

/** Elections take 2–3 s; a busy machine may take longer. */
const ELECTED_WITHIN = 20_000
/** What a row waits for an election when there is none. */
const NOTHING_WITHIN = 200
const ROW_TIMEOUT = 90_000

/** Which rows: those that show in single calls, those that take an election. */
export type Selection = readonly Row[]
export const ALL_ROWS: Selection = [...CALL_ROWS, ...ELECTION_ROWS]
/** One election, by the fault that is most common. */
export const KILL_ROW: Selection = ELECTION_ROWS.filter(({ fault }) => fault.kind === 'kill').slice(0, 3)

/** Runs rows on one rig after the other. */
export function rigSuite(driver: () => Driver, topology: Topology, selection: Selection): void {
  // The password of the servers that have to know each other's.
  const password = topology === 'standalone' ? undefined : 'a-password'
  const rows = selection.filter(({ topologies }) => topologies.includes(topology))

  describe(topology, () => {
    let rig: Rig
    beforeAll(async () => {
      rig = await driver().open(topology, password === undefined ? {} : { password })
    }, ROW_TIMEOUT)
    afterAll(() => rig?.close(), ROW_TIMEOUT)
    const options = (): BenchOptions => ({
      ...{ rig, password, patience: ELECTED_WITHIN },
      inject: (fault) => rig.inject(fault),
    })

    it.each(rows)('$name', { timeout: ROW_TIMEOUT }, async ({ bites, fault }) => {
      const refused = driver().refusal(topology, fault)
      if (refused !== undefined) {
        await expect(rig.inject(fault)).rejects.toThrow(refused)
        return
      }
      await using bench = await Bench.ready(options())
      await bites(bench)
      await bench.recover()
    })

    it.each(rows)('fails without: $name', { timeout: ROW_TIMEOUT }, async ({ bites }) => {
      await using bench = await Bench.ready({ ...options(), patience: NOTHING_WITHIN, inject: pretend })
      await expect(bites(bench)).rejects.toThrow()
    })
  })
}

/** Does nothing, and says that it did. */
async function pretend(fault: Fault): Promise<Injected> {
  return { fault, nodes: [], heal: async () => {} }
}
