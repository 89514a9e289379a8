/** Reads a page as a browser does, for tests. */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { type DefaultTreeAdapterTypes, parse } from 'parse5'

type Node = DefaultTreeAdapterTypes.Node
type Element = DefaultTreeAdapterTypes.Element

export interface ParsedPage {
  readonly document: Node
  /** What is not well-formed. */
  readonly errors: readonly string[]
}

export function parsePage(text: string): ParsedPage {
  const errors: string[] = []
  const document = parse(text, {
    sourceCodeLocationInfo: true,
    onParseError: ({ code, startLine }) => errors.push(`${code} in line ${startLine}`),
  })
  return { document, errors }
}

/** All elements below a node, in their order; of one name if one is given. */
export function elements(node: Node, name?: string): Element[] {
  const below = 'childNodes' in node ? node.childNodes.flatMap((child) => elements(child, name)) : []
  return 'tagName' in node && (name === undefined || node.tagName === name) ? [node, ...below] : below
}

/** The text in a node, or in the first element below it that is called `name`, `#id` or `.class`. */
export function textOf(node: Node, which?: string): string {
  if (which !== undefined) {
    const found = elements(node).find((element) => isCalled(element, which))
    if (found === undefined) throw new Error(`no ${which} on the page`)
    return textOf(found)
  }
  if (node.nodeName === '#text') return (node as DefaultTreeAdapterTypes.TextNode).value
  return 'childNodes' in node ? node.childNodes.map((child) => textOf(child)).join('') : ''
}

function isCalled({ tagName, attrs }: Element, which: string): boolean {
  const value = (name: string) => attrs.find((attribute) => attribute.name === name)?.value ?? ''
  if (which.startsWith('#')) return value('id') === which.slice(1)
  if (which.startsWith('.')) return value('class').split(' ').includes(which.slice(1))
  return tagName === which
}

/** A page as it is after its script has run; nothing outside the machine is asked for. */
export async function dumpDom(chromium: string, path: string, profile: string): Promise<string> {
  const flags = ['--headless', '--disable-gpu', '--no-first-run', '--disable-background-networking', '--disable-sync']
  // Chromium's own sandbox does not work for root.
  if (process.getuid?.() === 0) flags.push('--no-sandbox')
  const args = [...flags, '--disable-component-update', `--user-data-dir=${profile}`, '--dump-dom', `file://${path}`]
  const { stdout } = await promisify(execFile)(chromium, args, { maxBuffer: 1 << 26 })
  return stdout
}
