import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Log } from '../../../src/core/log.ts'
import { frameBytes, type PixelFormat, type VideoFrame } from '../../../src/core/media/frame.ts'
import { giveBack } from '../../../src/core/media/frame-pool.ts'
import { type Catalog, discoverPipelines } from '../../../src/pipeline/catalog/catalog.ts'
import type { PipelineLease } from '../../../src/pipeline/supervision/lease.ts'
import { openPipelinePool, type PipelinePool, type PoolOptions } from '../../../src/pipeline/supervision/pool.ts'
import { LogCollector } from '../../helpers/logs.ts'
import { look } from '../../helpers/nothing-left.ts'

const folder = (path: string) => fileURLToPath(new URL(path, import.meta.url))

/** The built-in pipelines and the fixtures. */
export function fixtureCatalog(): Promise<Catalog> {
  return discoverPipelines({
    builtinDir: folder('../../../pipelines'),
    pipelineDir: folder('../../fixtures/pipelines'),
  })
}

export type TestPool = { pool: PipelinePool; logs: LogCollector; log: Log; [Symbol.asyncDispose](): Promise<void> }

export async function openTestPool(options: Partial<PoolOptions> = {}): Promise<TestPool> {
  const logs = new LogCollector()
  const { log } = logs
  const modelDir = mkdtempSync(join(tmpdir(), 'millrace-test-'))
  const defaults = { catalog: await fixtureCatalog(), defaultPipeline: 'noop', defaultParams: {}, warm: 0, modelDir }
  const pool = await openPipelinePool({ ...defaults, ...options }, { log })
  return {
    pool,
    logs,
    log,
    async [Symbol.asyncDispose]() {
      await pool.close()
      rmSync(modelDir, { recursive: true, force: true })
    },
  }
}

/** A frame whose every byte tells its number. */
export function testFrame(number: number, format: PixelFormat = 'yuv420p', width = 64, height = 64): VideoFrame {
  const data = new Uint8Array(frameBytes(format, width, height)).fill(number % 251)
  return { data, format, width, height, pts: number * 3000 }
}

/** What a viewer would see of one source frame or output. */
export type Shown = { at: number; pts: number; kind: 'output' | 'overlay'; value: number }

/** A source of 30 frames a second that shows outputs, and an overlay where the lease asks for one. */
export class Source {
  readonly shown: Shown[] = []
  offered = 0
  #lease: PipelineLease | undefined
  #timer: NodeJS.Timeout | undefined
  #newest = 0
  readonly #fps: number

  constructor(fps = 30) {
    this.#fps = fps
  }

  readonly onFrame = (frame: VideoFrame): void => {
    this.shown.push({ at: performance.now(), pts: frame.pts, kind: 'output', value: frame.data[0] ?? -1 })
    giveBack(frame.data)
  }

  start(lease: PipelineLease): void {
    this.#lease = lease
    const startedAt = performance.now()
    let sent = 0
    // Time goes on where an earlier run of this source stopped.
    const first = this.#newest
    this.#timer = setInterval(() => {
      const due = Math.floor(((performance.now() - startedAt) * this.#fps) / 1000)
      // A test process that was held up sends one frame and goes on, as a camera would.
      if (due > sent) {
        this.#offer(first + due)
        sent = due
      }
    }, 5)
  }

  #offer(number: number): void {
    this.offered++
    this.#newest = number
    const { format, width, height } = this.#lease!.input
    const frame = testFrame(number, format, width, height)
    if (this.#lease!.offer(frame)) return
    this.shown.push({ at: performance.now(), pts: frame.pts, kind: 'overlay', value: -1 })
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  get outputs(): Shown[] {
    return this.shown.filter(({ kind }) => kind === 'output')
  }

  /** The longest time, in milliseconds, in which a viewer saw nothing new. */
  longestGap(): number {
    return Math.max(0, ...this.shown.slice(1).map(({ at }, index) => at - this.shown[index]!.at))
  }
}

/** Waits until something is so; fails after `ms` with what it waited for. */
export async function until(what: string, test: () => unknown, ms = 20_000): Promise<void> {
  const end = performance.now() + ms
  while (!test()) {
    if (performance.now() > end) throw new Error(`waited ${ms} ms for: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

export function alive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

/** All that a lease told while it was watched. */
export type Told = {
  states: string[]
  phases: string[]
  errors: { message: string; during: string; count: number }[]
  restarts: { count: number; reason: string; logs: string[] }[]
  params: { status: string; revision: number; params: Record<string, unknown> }[]
  lines: string[]
}

export function listen(lease: PipelineLease): Told {
  const told: Told = {
    states: [lease.state],
    phases: [lease.status.phase],
    errors: [],
    restarts: [],
    params: [],
    lines: [],
  }
  lease.events.on('state', ({ state }) => told.states.push(state))
  lease.events.on('status', ({ phase }) => told.phases.push(phase))
  lease.events.on('error', (error) => told.errors.push(error))
  lease.events.on('restart', (restart) => told.restarts.push(restart))
  lease.events.on('params', (params) => told.params.push(params))
  lease.events.on('log', ({ line }) => told.lines.push(line))
  return told
}

/** A stream with a viewer on one pipeline, and all that is seen of it. */
export type Stage = TestPool & { source: Source; lease: PipelineLease; told: Told }

export async function play(
  pipeline: string,
  { params = {}, ...options }: Partial<PoolOptions> & { params?: Record<string, unknown> } = {},
): Promise<Stage> {
  const world = await openTestPool(options)
  try {
    const source = new Source()
    const request = { pipeline, params, requestId: 'the stream', onFrame: source.onFrame }
    const lease = await world.pool.lease(request, { log: world.log })
    const told = listen(lease)
    source.start(lease)
    const end = world[Symbol.asyncDispose]
    return Object.assign(world, {
      source,
      lease,
      told,
      async [Symbol.asyncDispose]() {
        source.stop()
        await lease.close()
        await end.call(world)
      },
    })
  } catch (thrown) {
    await world[Symbol.asyncDispose]()
    throw thrown
  }
}

/** The runners of this process. */
export function runnersLeft(): string[] {
  return look().children.filter((command) => command.includes('pipeline/runner/runner.'))
}

/** Every output is later than the one before it, and than every overlay before it. */
export function inOrder(shown: readonly Shown[]): boolean {
  return shown.every(({ pts }, index) => index === 0 || pts > shown[index - 1]!.pts)
}
