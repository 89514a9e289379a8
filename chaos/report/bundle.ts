/** The page's script and style sheet, each in one piece: this project's, and uPlot (MIT, 50 kB), which draws the charts. */
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import type { PageAssets } from './page/page.js'

const SCRIPT = fileURLToPath(new URL('browser/main.ts', import.meta.url))
const STYLE = fileURLToPath(new URL('style/page.css', import.meta.url))

let assets: Promise<PageAssets> | undefined

/** What goes into every page; made once. */
export function pageAssets(): Promise<PageAssets> {
  assets ??= bundle()
  return assets
}

async function bundle(): Promise<PageAssets> {
  const { outputFiles } = await build({
    entryPoints: [SCRIPT, STYLE],
    outdir: 'report',
    bundle: true,
    minify: true,
    write: false,
    format: 'iife',
    target: 'es2023',
    charset: 'utf8',
    legalComments: 'none',
    logLevel: 'silent',
  })
  const output = (type: string) => {
    const file = outputFiles.find(({ path }) => path.endsWith(type))
    if (file === undefined) throw new Error(`The report's page came out without its ${type}`)
    return file.text.trim()
  }
  return { script: output('.js'), style: output('.css'), licences: await uplotLicence() }
}

async function uplotLicence(): Promise<string> {
  const manifest = createRequire(import.meta.url).resolve('uplot/package.json')
  const { version } = JSON.parse(await readFile(manifest, 'utf8'))
  const licence = await readFile(join(dirname(manifest), 'LICENSE'), 'utf8')
  return `uPlot ${version}\n\n${licence.trim()}`
}
