import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Log } from '../../../../src/core/log.ts'
import { frameBytes, type PixelFormat, type VideoFrame } from '../../../../src/core/media/frame.ts'
import { giveBack } from '../../../../src/core/media/frame-pool.ts'
import { type Catalog, discoverPipelines } from '../../../../src/pipeline/catalog/catalog.ts'
import {
  openPipelinePool,
  type PipelineLease,
  type PipelinePool,
  type PoolOptions,
} from '../../../../src/pipeline/supervision/pool/pool.ts'
import { look } from '../../../helpers/nothing-left.ts'
import { LogCollector } from '../../../helpers/server/logs.ts'
import { WAIT_MS } from '../../../helpers/wait.ts'

const folder = (path: string) => fileURLToPath(new URL(path, import.meta.url))

/** The built-in pipelines and the fixtures. */
function fixtureCatalog(): Promise<Catalog> {
  return discoverPipelines({
    builtinDir: folder('../../../../pipelines'),
    pipelineDir: folder('../../../fixtures/pipelines'),
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

/** A frame with every byte set to its number. */
export function testFrame(number: number, format: PixelFormat = 'yuv420p', width = 64, height = 64): VideoFrame {
  const data = new Uint8Array(frameBytes(format, width, height)).fill(number % 251)
  return { data, format, width, height, pts: number * 3000 }
}

/** What a viewer would see: a source frame or an output. */
export type Shown = { at: number; pts: number; kind: 'output' | 'overlay'; value: number }

/** A source of 30 frames per second that shows outputs, and the overlay when the lease asks for it. */
export class Source {
  readonly shown: Shown[] = []
  offered = 0
  #lease: PipelineLease | undefined
  #timer: NodeJS.Timeout | undefined
  #newest = 0
  /** The longest time between two timer ticks in which this process did not run, in milliseconds. */
  #heldUp = 0
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
    let [sent, turnAt, worked] = [0, startedAt, process.cpuUsage()]
    // Timestamps continue where an earlier run of this source stopped.
    const first = this.#newest
    this.#timer = setInterval(() => {
      const now = performance.now()
      const { user, system } = process.cpuUsage(worked)
      this.#heldUp = Math.max(this.#heldUp, now - turnAt - (user + system) / 1000)
      turnAt = now
      worked = process.cpuUsage()
      const due = Math.floor(((now - startedAt) * this.#fps) / 1000)
      // A delayed test process sends one frame and continues, as a camera would.
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

  /** The longest time without a new frame, in milliseconds, less the time in which this process was not scheduled. */
  longestGap(): number {
    const longest = Math.max(0, ...this.shown.slice(1).map(({ at }, index) => at - this.shown[index]!.at))
    return Math.max(0, longest - this.#heldUp)
  }
}

/** Waits until the condition holds; after `ms`, fails with what it waited for. */
export async function until(what: string, test: () => unknown, ms = WAIT_MS): Promise<void> {
  const end = performance.now() + ms
  while (!test()) {
    if (performance.now() > end) throw new Error(`waited ${ms} ms for: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

/** Resolves when each input frame has been output or counted as lost: with none inside, one may still be in transit. */
export async function everyFrameAccounted(lease: Pick<PipelineLease, 'stats'>): Promise<void> {
  const missing = () => {
    const { frames, dropped } = lease.stats()
    return frames.in - frames.out - frames.inside - dropped.beforePipeline - dropped.afterPipeline - dropped.failed
  }
  await until('an account of every frame', () => lease.stats().frames.inside === 0 && missing() === 0)
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

/** All notifications of a lease while it was watched. */
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

/** A stream with a viewer on one pipeline, and everything observed of it. */
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

/** Pids of the runners of this process. */
export function runnersLeft(): string[] {
  return look().children.filter((command) => command.includes('pipeline/runner/runner.'))
}

/** Every output has a later timestamp than the previous one, and than every overlay before it. */
export function inOrder(shown: readonly Shown[]): boolean {
  return shown.every(({ pts }, index) => index === 0 || pts > shown[index - 1]!.pts)
}
