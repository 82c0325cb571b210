import { createLogUpdate } from 'log-update'
import type { BrokenFrame } from '../stepper.ts'

export type RunState = {
  /** Frames processed. */
  frames: number
  /** Outputs. */
  outputs: number
  /** Time of the newest frame in INPUT. */
  seconds: number
  /** 0 to 1; undefined if unknown. */
  share?: number
  /** Frames per second so far. */
  fps: number
  /** Remaining seconds; undefined if unknown. */
  left?: number
} & AudioState

/** Of a run on audio only, in which `frames` and `fps` are 0. */
type AudioState = {
  /** Seconds of audio processed. */
  audioSeconds?: number
  /** Seconds of audio per second. */
  speed?: number
}

export type RunSummary = {
  /** Undefined if there is a file of data messages only. */
  output?: string
  data?: string
  frames: number
  outputs: number
  broken: number
  /** Duration of the run. */
  seconds: number
  fps: number
} & AudioState

/** Receives the progress of a run. */
export interface RunReport {
  loading(pipeline: string): void
  loaded(ms: number): void
  log(level: string, message: string): void
  progress(state: RunState): void
  broken(frame: BrokenFrame): void
  done(summary: RunSummary): void
  failed(message: string): void
  /** Ends the progress display. */
  close(): void
}

type Stream = { write(text: string): unknown; isTTY?: boolean; columns?: number }

const BAR = 24
const TERMINAL_MS = 100
const JSON_MS = 500
const LINES_MS = 10_000

/** One JSON line per event. */
export class JsonReport implements RunReport {
  readonly #stream: Stream
  readonly #due = every(JSON_MS)

  constructor(stream: Stream) {
    this.#stream = stream
  }

  loading(pipeline: string): void {
    this.#say('loading', { pipeline })
  }
  loaded(ms: number): void {
    this.#say('loaded', { ms: Math.round(ms) })
  }
  log(level: string, message: string): void {
    this.#say('log', { level, message })
  }
  progress(state: RunState): void {
    if (this.#due()) this.#say('progress', rounded(state))
  }
  broken(frame: BrokenFrame): void {
    this.#say('broken', frame)
  }
  done(summary: RunSummary): void {
    this.#say('done', rounded(summary))
  }
  failed(message: string): void {
    this.#say('failed', { message })
  }
  close(): void {}

  #say(type: string, facts: object): void {
    this.#stream.write(`${JSON.stringify({ type, ...facts })}\n`)
  }
}

/** For people: a progress bar on a terminal, an occasional line elsewhere. */
export class TextReport implements RunReport {
  readonly #stream: Stream
  readonly #redraw: ReturnType<typeof createLogUpdate> | undefined
  readonly #due: () => boolean

  constructor(stream: Stream) {
    this.#stream = stream
    this.#redraw = stream.isTTY ? createLogUpdate(stream as NodeJS.WriteStream) : undefined
    this.#due = every(stream.isTTY ? TERMINAL_MS : LINES_MS)
  }

  loading(pipeline: string): void {
    if (this.#redraw) this.#redraw(`loading ${pipeline} …`)
  }
  loaded(ms: number): void {
    this.#say(`loaded after ${(ms / 1000).toFixed(1)} s`)
  }
  log(level: string, message: string): void {
    this.#say(level === 'info' ? `  ${message}` : `  ${level}: ${message}`)
  }
  progress(state: RunState): void {
    if (!this.#due()) return
    if (this.#redraw) this.#redraw(barOf(state))
    else this.#say(textOf(state))
  }
  broken({ frame, seconds, message }: BrokenFrame): void {
    this.#say(`broken: frame ${frame} at ${seconds.toFixed(3)} s: ${message}`)
  }
  done(summary: RunSummary): void {
    this.#say(doneText(summary))
  }
  /** The command itself reports it. */
  failed(): void {}

  close(): void {
    this.#redraw?.clear()
    this.#redraw?.done()
  }

  /** Prints a line above the progress bar. */
  #say(text: string): void {
    this.#redraw?.clear()
    this.#stream.write(`${text}\n`)
  }
}

export function barOf(state: RunState): string {
  if (state.share === undefined) return textOf(state)
  const filled = Math.round(state.share * BAR)
  const percent = String(Math.floor(state.share * 100)).padStart(3)
  return `[${'#'.repeat(filled)}${'.'.repeat(BAR - filled)}] ${percent} % ${textOf(state)}`
}

function doneText({
  output,
  data,
  frames,
  outputs,
  broken,
  seconds,
  fps,
  audioSeconds,
  speed = 0,
}: RunSummary): string {
  const [file, took] = [output ?? data, `${seconds.toFixed(1)} s`]
  if (audioSeconds !== undefined) {
    const faults = broken > 0 ? `, ${broken} errors` : ''
    return `${file}: ${audioSeconds.toFixed(1)} s of audio${faults}, ${took}, ${speed.toFixed(1)}x`
  }
  const without = broken > 0 ? `, without ${broken} broken ones` : ''
  return `${file}: ${frames} frames in, ${outputs} out${without}, ${took}, ${fps.toFixed(1)} fps`
}

function textOf({ frames, fps, left, seconds, audioSeconds, speed = 0 }: RunState): string {
  const rest = left === undefined ? `at ${clock(seconds)}` : `${clock(left)} left`
  if (audioSeconds !== undefined) return `${audioSeconds.toFixed(1)} s of audio, ${speed.toFixed(1)}x, ${rest}`
  return `${frames} frames, ${fps.toFixed(1)} fps, ${rest}`
}

function clock(seconds: number): string {
  const whole = Math.ceil(seconds)
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60]
  const parts = hours > 0 ? [hours, String(minutes).padStart(2, '0')] : [minutes]
  return [...parts, String(whole % 60).padStart(2, '0')].join(':')
}

function rounded(facts: object): object {
  const entries = Object.entries(facts).map(([key, value]) => [
    key,
    typeof value === 'number' ? Number(value.toFixed(3)) : value,
  ])
  return Object.fromEntries(entries)
}

/** True once every `ms` milliseconds. */
function every(ms: number): () => boolean {
  let next = performance.now() + ms
  return () => {
    const now = performance.now()
    if (now < next) return false
    next = now + ms
    return true
  }
}
