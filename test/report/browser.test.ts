import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { reportOf } from 'modelfirst/report'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { serve } from '../support/server.ts'
import { chromiumInstalled, openBrowser, withChromium } from './browser.ts'
import { sample } from './sample.ts'
import { spendBy, sumsOf } from './sums.ts'

const HOSTILE = '</script></style></title><img src=x onerror="window.stolen=1"><script>window.stolen=1</script>'

/** What a page says while it is open, and what it asks for. */
interface Visit {
  readonly page: Page
  readonly complaints: readonly string[]
  readonly requests: readonly string[]
}

describe.skipIf(!chromiumInstalled)(withChromium('the report in a real browser'), () => {
  const records = [...sample(3000, 7)]
  // A name that means harm, in every place where a record has one.
  const hostile = [...sample(40, 8)].map((record) => ({
    ...record,
    id: `${HOSTILE}${record.id}`,
    task: HOSTILE,
    model: { asked: HOSTILE, served: HOSTILE },
    host: HOSTILE,
    attempts: record.attempts.map((attempt) => ({ ...attempt, model: HOSTILE, host: HOSTILE })),
    alternatives: record.alternatives.map((each) => ({ ...each, model: HOSTILE, provider: HOSTILE })),
    drift: [{ kind: 'host' as const, planned: HOSTILE, served: `'"\`${HOSTILE}` }],
  }))
  let folder = ''
  let browser: Browser

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'modelfirst-report-'))
    writeFileSync(join(folder, 'report.html'), await reportOf(records, { title: 'Support desk' }))
    writeFileSync(join(folder, 'hostile.html'), await reportOf([...records, ...hostile], { title: HOSTILE }))
    writeFileSync(join(folder, 'empty.html'), await reportOf([]))
    browser = await openBrowser()
  }, 60_000)
  afterAll(async () => {
    await browser?.close()
    rmSync(folder, { recursive: true, force: true })
  })

  async function visit(name: string, options: Parameters<Browser['newPage']>[0] = {}): Promise<Visit> {
    const page = await browser.newPage({ viewport: { width: 1280, height: 900 }, ...options })
    onTestFinished(() => page.close())
    const complaints: string[] = []
    const requests: string[] = []
    page.on('console', (message) => complaints.push(message.text()))
    page.on('pageerror', (error) => complaints.push(String(error)))
    page.on('request', (request) => requests.push(request.url()))
    await page.goto(pathToFileURL(join(folder, name)).href)
    return { page, complaints, requests }
  }

  const figureOf = async (page: Page, selector: string) =>
    Number(await page.locator(`${selector} data`).getAttribute('value'))

  /** The rows of a table: its name, and the exact figure in a column. */
  const column = (page: Page, panel: string, title: string) =>
    page.locator(`${panel} > .scroll table`).evaluate((table, wanted) => {
      const [head] = table.querySelectorAll('thead tr')
      const index = [...(head?.children ?? [])].findIndex((cell) => cell.textContent === wanted)
      return [...table.querySelectorAll('tbody tr')].map((row) => {
        return [row.children[0]?.textContent ?? '', Number(row.children[index]?.querySelector('data')?.value)] as const
      })
    }, title)

  test('its numbers are the sums of the records, made another way', async () => {
    const { page, complaints, requests } = await visit('report.html')
    const sums = sumsOf(records)
    expect(await figureOf(page, '#spend')).toBeCloseTo(sums.low, 9)
    expect(await figureOf(page, '#calls')).toBe(sums.calls)
    expect(await figureOf(page, '#discount')).toBeCloseTo(sums.discount, 9)
    expect(await figureOf(page, '#premium')).toBeCloseTo(sums.premium, 9)
    expect(await figureOf(page, '#failures')).toBe(sums.failed)
    expect(await figureOf(page, '#failovers')).toBe(sums.failovers)
    const median = sums.firstTokens[Math.floor((sums.firstTokens.length - 1) / 2)] ?? Number.NaN
    expect(Math.abs((await figureOf(page, '#first-token')) / median - 1)).toBeLessThan(0.011)
    expect(sums.open).toBeGreaterThan(0)
    expect(await page.locator('.notes').textContent()).toContain(`${sums.open} calls of unknown cost`)

    const ways = {
      task: spendBy(records, ({ task }) => task),
      model: spendBy(records, (_, { model }) => model),
      provider: spendBy(records, (_, { provider }) => provider),
      host: spendBy(records, (_, { provider, host }) => (host === null ? provider : `${provider}/${host}`)),
    }
    for (const [dimension, expected] of Object.entries(ways)) {
      const shown = new Map(await column(page, `.by-${dimension}`, 'Spend'))
      expect([...shown.keys()].sort(), dimension).toEqual([...expected.keys()].sort())
      for (const [name, usd] of expected) expect(shown.get(name), name).toBeCloseTo(usd, 9)
    }
    expect(complaints).toEqual([])
    expect(requests).toHaveLength(1)
  })

  test('the bars over time add up to the spend', async () => {
    const { page } = await visit('report.html')
    const bars = await column(page, '.by-task details', 'Together')
    expect(bars.length).toBeGreaterThan(20)
    expect(bars.reduce((sum, [, usd]) => sum + usd, 0)).toBeCloseTo(sumsOf(records).low, 9)
  })

  test('a table is sorted by a click and by the keyboard, and says so', async () => {
    const { page } = await visit('report.html')
    const names = async () => (await column(page, '.by-task', 'Calls')).map(([name]) => name)
    const calls = async () => (await column(page, '.by-task', 'Calls')).map(([, count]) => count)
    const head = page.locator('.by-task > .scroll th', { hasText: /^Calls$/ })
    expect(await page.locator('.by-task > .scroll th[aria-sort]').textContent()).toBe('Spend')
    await head.getByRole('button').click()
    expect(await calls()).toEqual([...(await calls())].sort((a, b) => b - a))
    expect(await head.getAttribute('aria-sort')).toBe('descending')
    expect(await page.locator('.by-task > .scroll th[aria-sort]').count()).toBe(1)
    await head.getByRole('button').focus()
    await page.keyboard.press('Enter')
    expect(await calls()).toEqual([...(await calls())].sort((a, b) => a - b))
    expect(await head.getAttribute('aria-sort')).toBe('ascending')
    const first = page.locator('.by-task > .scroll th', { hasText: /^Task$/ })
    await first.getByRole('button').focus()
    await page.keyboard.press('Space')
    expect(await names()).toEqual([...(await names())].sort())
    // The sum stays below.
    expect(await page.locator('.by-task > .scroll tfoot th').textContent()).toBe('All')
  })

  test('what is not known is sorted last, whichever way', async () => {
    const { page } = await visit('report.html')
    const button = page.locator('.by-task > .scroll th', { hasText: /^Above cheapest$/ }).getByRole('button')
    const lasts: string[] = []
    for (let n = 0; n < 2; n += 1) {
      await button.click()
      lasts.push(
        (await page.locator('.by-task > .scroll tbody tr').last().locator('td data').nth(6).getAttribute('value')) ??
          '?',
      )
    }
    expect(lasts).toEqual(['', ''])
  })

  test('it is read without a script, also by model, provider and host', async () => {
    const { page } = await visit('report.html', { javaScriptEnabled: false })
    expect(await page.locator('.by-task').isVisible()).toBe(true)
    for (const dimension of ['model', 'provider', 'host', 'task']) {
      await page.locator(`label[for=by-${dimension}]`).click()
      expect(await page.locator('.panel:visible').count()).toBe(1)
      expect(await page.locator(`.by-${dimension}`).isVisible()).toBe(true)
    }
    await page.locator('#by-task').focus()
    await page.keyboard.press('ArrowRight')
    expect(await page.locator('.by-model').isVisible()).toBe(true)
    expect(await page.locator('th button').count()).toBe(0)
  })

  test.each(['light', 'dark'] as const)(
    'every word stands out from what is behind it when it is %s',
    async (colorScheme) => {
      const { page, complaints } = await visit('report.html', { colorScheme })
      const back = await page.evaluate(() => getComputedStyle(document.body).backgroundColor)
      const [red = Number.NaN] = back.match(/\d+/g)?.map(Number) ?? []
      if (colorScheme === 'dark') expect(red).toBeLessThan(60)
      else expect(red).toBeGreaterThan(200)
      expect(await page.evaluate(faintWords)).toEqual([])
      expect(complaints).toEqual([])
    },
  )

  test('it fits a narrow page: only tables scroll sideways', async () => {
    const { page } = await visit('report.html', { viewport: { width: 360, height: 800 } })
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(360)
  })

  test('figures appear under the pointer', async () => {
    const { page } = await visit('report.html')
    await page.locator('.by-task .hit').first().hover()
    expect(await page.locator('.tip').textContent()).toMatch(/2 Nov 2026.* UTC\n.*\$.*attempts/)
  })

  test('printed, every way of asking is on paper', async () => {
    const { page } = await visit('report.html')
    await page.emulateMedia({ media: 'print' })
    expect(await page.locator('.panel:visible').count()).toBe(4)
    expect(await page.locator('fieldset').isVisible()).toBe(false)
    expect((await page.pdf()).length).toBeGreaterThan(20_000)
  })

  test('a name that means harm is only read', async () => {
    const { page, complaints, requests } = await visit('hostile.html')
    expect(await page.evaluate(() => Object.hasOwn(window, 'stolen'))).toBe(false)
    expect(await page.locator('img').count()).toBe(0)
    expect(await page.locator('script').count()).toBe(1)
    expect(await page.locator('h1').textContent()).toContain('</script>')
    expect(await page.locator('.by-task tbody').last().textContent()).toContain('<img src=x')
    expect(complaints).toEqual([])
    expect(requests).toHaveLength(1)
  })

  test('even markup that came through would not run, and could not call home', async () => {
    const home = await serve(({ response }) => response.end())
    onTestFinished(() => home.close())
    const { page, complaints } = await visit('report.html')
    await page.evaluate((markup) => {
      document.body.insertAdjacentHTML('beforeend', markup)
      const script = document.createElement('script')
      script.textContent = 'window.stolen = 1'
      document.body.append(script)
    }, `<img src="${home.url}/x.png" onerror="window.stolen = 1"><link rel="stylesheet" href="${home.url}/x.css">`)
    await page.waitForTimeout(100)
    expect(await page.evaluate(() => Object.hasOwn(window, 'stolen'))).toBe(false)
    expect(complaints.join('\n')).toMatch(/Content Security Policy/)
    expect(home.requests).toEqual([])
  })

  test('an empty page says so', async () => {
    const { page, complaints } = await visit('empty.html')
    expect(await page.locator('header').textContent()).toContain('No calls yet.')
    expect(complaints).toEqual([])
  })

  test('it can be looked at: pictures, light and dark, wide and narrow', async () => {
    const kept = process.env.MODELFIRST_SCREENSHOTS
    const target = kept ?? join(folder, 'pictures')
    mkdirSync(target, { recursive: true })
    const looks = [
      ['light', 1280],
      ['dark', 390],
      ['dark', 1280],
      ['light', 390],
    ] as const
    // One of them says whether it works; all four are for who asks for them.
    const all = kept !== undefined || process.env.MODELFIRST_DEEP === '1'
    for (const [colorScheme, width] of all ? looks : looks.slice(0, 1)) {
      const { page } = await visit('report.html', { colorScheme, viewport: { width, height: 900 } })
      const path = join(target, `report-${colorScheme}-${width}.png`)
      await page.screenshot({ path, fullPage: true })
      expect(statSync(path).size).toBeGreaterThan(30_000)
    }
  })
})

/** Runs in the page: words whose colour is too near to what is behind them (WCAG AA). */
function faintWords(): string[] {
  const luminance = (colour: readonly number[]) => {
    const [red = 0, green = 0, blue = 0] = colour.map((part) => {
      const share = part / 255
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4
    })
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
  }
  const partsOf = (colour: string) => (colour.match(/[\d.]+/g) ?? []).map(Number)
  const found: string[] = []
  for (const element of document.querySelectorAll('body *')) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent?.trim() !== '')
    if (!own || element.closest('script') !== null || element.getClientRects().length === 0) continue
    const style = getComputedStyle(element)
    const colour = partsOf(element instanceof SVGElement ? style.fill : style.color)
    let behind: Element | null = element
    let back = [255, 255, 255]
    for (; behind !== null; behind = behind.parentElement) {
      const parts = partsOf(getComputedStyle(behind).backgroundColor)
      if (parts.length === 3 || (parts[3] ?? 0) === 1) {
        back = parts
        break
      }
    }
    const [light = 0, dark = 0] = [luminance(colour), luminance(back)].sort((a, b) => b - a)
    if ((light + 0.05) / (dark + 0.05) < 4.5)
      found.push(`${element.tagName} ${element.textContent?.slice(0, 40)} ${colour} on ${back}`)
  }
  return found
}
