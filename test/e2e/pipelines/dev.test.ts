import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { launchChromium } from '../../helpers/browser/chromium.ts'
import { type Dev, type DevPackage, PYTHON, startDev, TYPESCRIPT } from '../../helpers/dev.ts'
import { decodeGray, decodeNumbers } from '../../helpers/media/probe-ts.ts'
import { record } from '../../helpers/media/record.ts'
import { installPythonFixtures, type PythonFolder } from '../../helpers/package/python.ts'
import { httpJson } from '../../helpers/server/http.ts'
import { waitFor } from '../../helpers/wait.ts'

/** At most 2 s on a quiet machine, measured by `npm run bench -- dev`. */
const LIMIT_MS = 20_000

const folder = mkdtempSync(join(tmpdir(), 'mr-dev-'))
let python: PythonFolder | undefined
afterAll(() => {
  rmSync(folder, { recursive: true, force: true })
  python?.[Symbol.dispose]()
})

const folderOf = (name: string) => {
  mkdirSync(join(folder, name))
  return join(folder, name)
}
const onAir = (text: string) => text.match(/ on air after/g)?.length ?? 0

async function tenSaves(dev: Dev, own: DevPackage, onError = async () => {}): Promise<void> {
  const { url, text, save } = dev
  const { levelFile: file, levelText: line } = own
  expect((await httpJson('PATCH', `${url}/streams/dev/params`, { body: { extra: 3 } })).status).toBe(200)
  await using events = await record(`${url}/streams/dev/events`)
  await using viewer = await record(`${url}/out/dev.ts`)
  await using said = await record(`${url}/out/dev.jsonl`)
  await waitFor('the first frames', async () => viewer.bytes().length > 20_000)
  for (let number = 1; number <= 10; number++) {
    const before = text()
    if (number === 5) {
      save(file, line('= 7'))
      await waitFor('the error', async () => text().includes('The previous code stays on air'), { limitMs: LIMIT_MS })
      const told = text().slice(before.length)
      expect(told).toContain(`${file}:1`)
      expect(told).toMatch(/> 1 \| .*LEVEL = = 7\n/)
      expect(onAir(text())).toBe(onAir(before))
      const event = new RegExp(`"status":"failed".*"code":\\{"file":"${file}","line":1`)
      await waitFor('the event', async () => event.test(events.bytes().toString()))
      await onError()
    } else {
      save(file, line(String(40 + 16 * number)))
      await waitFor(`save ${number}`, async () => onAir(text()) > onAir(before), { limitMs: LIMIT_MS })
    }
  }
  const seen = viewer.bytes().length
  await waitFor('frames after it', async () => viewer.bytes().length > seen + 20_000)
  await waitFor('what the last one says', async () => said.bytes().includes('"level":200'))
  viewer.stop()
  const lines = said.bytes().toString().split('\n').slice(0, -1)
  const told = lines.map((line) => JSON.parse(line) as { pts: number; data: { level: number } })
  expect(told.every(({ pts }, index) => index === 0 || pts > told[index - 1]!.pts)).toBe(true)
  expect([...new Set(told.map(({ data }) => data.level))].slice(-9)).toEqual(
    [1, 2, 3, 4, 6, 7, 8, 9, 10].map((n) => 40 + 16 * n),
  )
  const { json } = await httpJson<{ params: object }>('GET', `${url}/streams/dev/params`)
  expect(json.params).toMatchObject({ extra: 3 })
  expect((await httpJson<{ inference: object }>('GET', `${url}/streams/dev`)).json.inference).toMatchObject({
    restarts: 0,
  })

  // Every frame has its number, so none is an overlay, and each level changes to the next between two frames.
  const numbers = (await decodeNumbers(viewer.bytes())).slice(0, -1).map(({ number }) => number)
  expect(numbers).not.toContain(undefined)
  expect(numbers).toEqual([...new Set(numbers)].sort((a, b) => a! - b!))
  const { frames } = await decodeGray(viewer.bytes(), 'crop=iw:ih/4:0:ih*3/4,scale=1:1:flags=area,format=gray', 1)
  const levels = frames.map(({ luma }) => luma[0]!)
  const changes = numbers.flatMap((_, index) => (index > 0 && levels[index]! > levels[index - 1]! + 6 ? [index] : []))
  expect(changes).toHaveLength(9)
  const whole = changes.filter((index) => numbers[index] === numbers[index - 1]! + 1)
  // A busy machine may lose a frame at any time.
  expect(whole.length).toBeGreaterThanOrEqual(7)
}

describe('millrace dev', () => {
  it('reloads a TypeScript package on every save, and keeps the old code when the new one does not load', async () => {
    await using dev = await startDev({ folder: folderOf('typescript'), package: TYPESCRIPT })
    await using browser = await launchChromium()
    const page = await browser.newPage()
    await page.goto(`${dev.url}/?stream=dev`)
    const alert = page.getByRole('alert').filter({ hasText: 'does not load' })
    await page.getByText(/ fps · /).waitFor()
    await tenSaves(dev, TYPESCRIPT, async () => {
      await alert.getByText(/^src.level\.ts:1/).waitFor()
      await alert.getByText('> 1 | export const LEVEL = = 7').waitFor()
    })
    await alert.waitFor({ state: 'hidden' })
  })

  it('and a Python package from its source folder', async () => {
    python = await installPythonFixtures('my-pipeline')
    const { directory } = python
    const environment = readdirSync(directory).find((name) => existsSync(join(directory, name, 'pyvenv.cfg')))!
    const env = { PYTHON: join(directory, environment) }
    await using dev = await startDev({ folder: folderOf('python'), package: PYTHON, env })
    await tenSaves(dev, PYTHON)
  }, 600_000)
})
