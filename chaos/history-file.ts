/** Histories on disk: JSONL, the header first. */
import { createReadStream } from 'node:fs'
import { mkdir, open } from 'node:fs/promises'
import { dirname } from 'node:path'
import { createInterface } from 'node:readline'
import { FORMAT, type Header, type HistoryRecord } from './records.js'

/** A run as it was saved. */
export interface SavedRun {
  readonly header: Header
  readonly records: readonly HistoryRecord[]
}

/** Writes a run, over what the file held. */
export async function writeHistory(path: string, { header, records }: SavedRun): Promise<void> {
  await mkdir(dirname(path), { recursive: true })
  await using file = await open(path, 'w')
  let lines = `${JSON.stringify(header)}\n`
  for (const record of records) {
    lines += `${JSON.stringify(record, rounded)}\n`
    if (lines.length < CHUNK) continue
    await file.write(lines)
    lines = ''
  }
  await file.write(lines)
}

const CHUNK = 1 << 20

/** Times to the microsecond: more digits say nothing and take most of the space. */
function rounded(_key: string, value: unknown): unknown {
  return typeof value === 'number' ? Math.round(value * 1000) / 1000 : value
}

/**
 * Reads a run.
 *
 * @throws {Error} naming the file and the line, for what is no history or one of another format.
 */
export async function readHistory(path: string): Promise<SavedRun> {
  const records: HistoryRecord[] = []
  let header: Header | undefined
  let line = 0
  for await (const text of createInterface({ input: createReadStream(path), crlfDelay: Number.POSITIVE_INFINITY })) {
    line++
    if (text === '') continue
    const record = parse(text, `${path}:${line}`)
    if (header !== undefined) records.push(record as HistoryRecord)
    else if (record.kind === 'header' && record.format === FORMAT) header = record
    else throw new Error(`${path} does not begin with the header of a history in format ${FORMAT}`)
  }
  if (header === undefined) throw new Error(`${path} is empty`)
  return { header, records }
}

function parse(text: string, where: string): Header | HistoryRecord {
  try {
    const record: unknown = JSON.parse(text)
    if (typeof record === 'object' && record !== null && 'kind' in record) return record as Header | HistoryRecord
  } catch {
    // Told below, like any other line that is no record.
  }
  throw new Error(`${where} holds no record`)
}
