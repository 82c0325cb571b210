import { existsSync } from 'node:fs'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { nowMs } from '../src/core/clock.ts'
import { type Dev, type DevPackage, PYTHON, startDev, TYPESCRIPT } from '../test/helpers/dev.ts'
import { decodeGray, decodeNumbers } from '../test/helpers/media/probe-ts.ts'
import { record } from '../test/helpers/media/record.ts'
import { installPythonFixtures } from '../test/helpers/package/python.ts'
import { waitFor } from '../test/helpers/wait.ts'
import type { Benchmark } from './lib/benchmark.ts'
import { statusOf } from './lib/contenders/server-contender.ts'
import { watchTs } from './lib/media/ts-frames.ts'
import { median, spread } from './lib/statistics.ts'

const SIZE = { width: 1280, height: 720, fps: 30 }
/** The frame's lower half is also grey before. */
const levelOf = (save: number) => 40 + 16 * save
/** Of ten saves, the one with an error. */
const BROKEN = 5

type Save = {
  /** From the save to the event that the code loads, to the event that it is on air, and to its first encoded frame. */
  noticedMs: number
  onAirMs: number
  frameMs: number
}
type Run = { saves: Save[]; missing: number; unnumbered: number; dropped: number }

/** Reports the arrival of each line of an endless response. */
async function timedLines(url: string, onLine: (line: string, at: number) => void) {
  const recording = await record(url)
  let read = 0
  const look = setInterval(() => {
    const bytes = recording.bytes()
    const end = bytes.lastIndexOf(10) + 1
    const now = nowMs()
    for (const line of bytes.subarray(read, end).toString().split('\n')) if (line) onLine(line, now)
    read = Math.max(read, end)
  }, 2)
  return {
    [Symbol.asyncDispose]: async () => {
      clearInterval(look)
      await recording[Symbol.asyncDispose]()
    },
  }
}

async function tenSaves({ url, text, save }: Dev, own: DevPackage): Promise<Run> {
  const arrivals = new Map<number, number>()
  const events: { status: string; at: number }[] = []
  await using viewer = await record(`${url}/out/dev.ts`)
  await using _watch = await watchTs(`${url}/out/dev.ts`, (pts, at) => arrivals.set(pts, at))
  await using _events = await timedLines(`${url}/streams/dev/events`, (line, at) => {
    const [, json] = /^data: (.*"type":"pipeline".*)$/.exec(line) ?? []
    if (json) events.push({ status: (JSON.parse(json) as { status: string }).status, at })
  })
  await waitFor('the first frames', () => arrivals.size > 60)
  const before = await statusOf(url, 'dev')
  const saves: { number: number; at: number; noticedMs: number; onAirMs: number }[] = []
  for (let number = 1; number <= 10; number++) {
    events.length = 0
    const at = nowMs()
    const event = (status: string) => events.find((one) => one.status === status)?.at
    if (number === BROKEN) {
      const said = text().length
      save(own.levelFile, own.levelText('= 7'))
      await waitFor('the error', () => text().slice(said).includes('The previous code stays on air'), {
        limitMs: 120_000,
      })
    } else {
      save(own.levelFile, own.levelText(String(levelOf(number))))
      const onAir = await waitFor(`save ${number}`, () => event('on-air'), { limitMs: 120_000 })
      saves.push({ number, at, noticedMs: event('loading')! - at, onAirMs: onAir - at })
    }
    const seen = arrivals.size
    await waitFor('a second of frames', () => arrivals.size > seen + 30)
  }
  const after = await statusOf(url, 'dev')
  viewer.stop()
  const shown = await firstOfEach(viewer.bytes(), own === PYTHON)
  const numbers = (await decodeNumbers(viewer.bytes())).slice(0, -1).map(({ number }) => number)
  const known = numbers.filter((number) => number !== undefined)
  const lost = (status: typeof before) => Object.values(status.dropped).reduce((sum, one) => sum + one, 0)
  return {
    saves: saves.map(({ number, at, ...save }) => {
      const pts = shown(levelOf(number))
      if (pts === undefined) throw new Error(`save ${number} is nowhere in the video`)
      return { ...save, frameMs: arrivals.get(nearest(arrivals, pts))! - at }
    }),
    missing: known.reduce((sum, number, i) => sum + (i > 0 ? number - known[i - 1]! - 1 : 0), 0),
    unnumbered: numbers.length - known.length,
    dropped: lost(after) - lost(before),
  }
}

/** Returns a function that finds the first frame whose lower half has a given level. */
async function firstOfEach(recording: Buffer, isRgb: boolean): Promise<(level: number) => number | undefined> {
  const { frames } = await decodeGray(recording, 'crop=16:16:iw/2:ih*7/8,format=gray', 16 * 16)
  // Luma of video is from 16 to 235, of gray from 0 to 255; the Python package paints RGB.
  const gray = (level: number) => (isRgb ? level : ((level - 16) * 255) / 219)
  return (level) => frames.find(({ luma }) => Math.abs(median([...luma]) - gray(level)) < 6)?.pts
}

const nearest = (arrivals: Map<number, number>, to: number) =>
  [...arrivals.keys()].reduce((a, b) => (Math.abs(b - to) < Math.abs(a - to) ? b : a))

async function measure(language: 'TypeScript' | 'Python'): Promise<Run> {
  const folder = await mkdtemp(join(tmpdir(), 'mr-bench-dev-'))
  try {
    if (language === 'TypeScript') {
      await using dev = await startDev({ ...SIZE, folder, package: TYPESCRIPT })
      return await tenSaves(dev, TYPESCRIPT)
    }
    using python = await installPythonFixtures('my-pipeline')
    const names = await readdir(python.directory)
    const environment = names.find((name) => existsSync(join(python.directory, name, 'pyvenv.cfg')))!
    await using dev = await startDev({
      ...SIZE,
      folder,
      package: PYTHON,
      env: { PYTHON: join(python.directory, environment) },
    })
    return await tenSaves(dev, PYTHON)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

export const dev: Benchmark = {
  name: 'dev',
  about: 'How soon a save of a pipeline’s code is on air with `millrace dev`, and what that costs the stream',
  async run(_options, say) {
    const runs = []
    for (const language of ['TypeScript', 'Python'] as const) {
      const run = await measure(language)
      runs.push({ language, ...run })
      say(`${language} ${median(run.saves.map(({ frameMs }) => frameMs)).toFixed(0)} ms`)
    }
    const times = (saves: Save[], key: keyof Save) => saves.map((save) => save[key])
    return {
      budgets: runs.flatMap(({ language, saves, missing, unnumbered, dropped }) => [
        { what: `${language}: the slowest save`, limit: 2000, value: Math.max(...times(saves, 'frameMs')), unit: 'ms' },
        { what: `${language}: frames lost`, limit: 0, value: missing + unnumbered + dropped, unit: 'frames' },
      ]),
      tables: [
        {
          title:
            'Ten saves of 720p30, one of which does not load: times from the save in ms, median (lowest to highest)',
          columns: ['', 'seen', 'on air', 'first encoded frame', 'frames missing', 'overlays', 'dropped'],
          rows: runs.map(({ language, saves, missing, unnumbered, dropped }) => [
            language,
            spread(times(saves, 'noticedMs'), 0),
            spread(times(saves, 'onAirMs'), 0),
            spread(times(saves, 'frameMs'), 0),
            missing,
            unnumbered,
            dropped,
          ]),
        },
      ],
      plots: [],
      samples: runs,
    }
  },
}
