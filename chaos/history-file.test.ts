import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { readHistory, writeHistory } from './history-file.js'
import type { Header, HistoryRecord } from './records.js'

let directory: string
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'history-'))
})
afterAll(() => rm(directory, { recursive: true }))

const HEADER = { kind: 'header', format: 1, scenario: 'kill' } as Header
const RECORDS: HistoryRecord[] = [
  { kind: 'process', process: 'A', event: 'listening', at: 0 },
  { kind: 'fault', fault: 'kill', target: 'master', at: 1000.1234567, bites: 1005 },
  { kind: 'end', at: 2000, skipped: 0 },
]

async function write(text: string): Promise<string> {
  const path = join(directory, 'written.jsonl')
  await writeFile(path, text)
  return path
}

describe('a history on disk', () => {
  it('is read as it was written, with times to the microsecond', async () => {
    const path = join(directory, 'deep', 'run.jsonl')
    await writeHistory(path, { header: HEADER, records: RECORDS })
    const { header, records } = await readHistory(path)
    expect(header).toEqual(HEADER)
    expect(records).toEqual([RECORDS[0], { ...RECORDS[1], at: 1000.123 }, RECORDS[2]])
  })

  it('keeps the order of more records than fit into one write', async () => {
    const path = join(directory, 'long.jsonl')
    const records = Array.from({ length: 30_000 }, (_, at): HistoryRecord => ({ kind: 'end', at, skipped: 0 }))
    await writeHistory(path, { header: HEADER, records })
    expect((await readHistory(path)).records).toEqual(records)
  })

  it('is refused without a header, in another format, empty, or with a line that is no record', async () => {
    const refused = async (text: string) => readHistory(await write(text))
    await expect(refused(JSON.stringify(RECORDS[0]))).rejects.toThrow('does not begin with the header')
    await expect(refused(JSON.stringify({ ...HEADER, format: 0 }))).rejects.toThrow('in format 1')
    await expect(refused('')).rejects.toThrow('is empty')
    await expect(refused(`${JSON.stringify(HEADER)}\n{"kind":`)).rejects.toThrow('written.jsonl:2 holds no record')
    await expect(refused(`${JSON.stringify(HEADER)}\n7`)).rejects.toThrow('written.jsonl:2 holds no record')
  })
})
