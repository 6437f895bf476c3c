import { spawnSync } from 'node:child_process'
import { type Browser, chromium } from 'playwright-core'

/** The operating system's own; none is ever downloaded. */
const PATHS = ['chromium', 'chromium-browser', 'google-chrome']

const path = PATHS.find((each) => spawnSync(each, ['--version']).status === 0)

export const chromiumInstalled: boolean = path !== undefined

/** The title of what needs it: whoever reads the report sees that it did not run. */
export function withChromium(title: string): string {
  return chromiumInstalled ? title : `${title} (chromium is not installed: skipped)`
}

export async function openBrowser(): Promise<Browser> {
  if (path === undefined) throw new Error('chromium is not installed')
  const found = spawnSync('which', [path], { encoding: 'utf8' }).stdout.trim()
  // As root, as in containers, Chromium runs without its own sandbox or not at all; it opens nothing but our file.
  return await chromium.launch({ executablePath: found, args: ['--no-sandbox', '--disable-dev-shm-usage'] })
}
