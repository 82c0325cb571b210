import { nowMs } from '../../core/clock.ts'
import { AppError } from '../../core/errors.ts'
import { type AudioForm, sameAudioForm } from '../../core/media/audio.ts'
import { type Context, deadline, sleep } from '../../core/resource.ts'
import type { AudioCoder, Timed } from '../../ffmpeg/audio/coder.ts'

/** Audio whose format may change from one packet to the next. */
type Formed = Timed & { track: AudioForm }

export type CoderPathOptions<In extends Formed, Out extends { pts: number }> = {
  /** Opens a coder for packets of this format. */
  open(form: In['track'], onPacket: (packet: Out) => void, context: Context): Promise<AudioCoder>
  /** The output of a packet that needs no coder; undefined if it needs one. */
  pass?(packet: In): Out | undefined
  /** Called in order of time. */
  onPacket(packet: Out): void
  /** The coder failed for the `failures`th time in a row. */
  onFailure(error: AppError, failures: number): void
}

/** Packets that wait while a coder opens: a few seconds of any codec. The oldest are dropped first. */
const MAX_WAITING = 500
/** Time limit for the last audio of a replaced coder. */
const RETIRE_MS = 1500
/** A track that keeps changing its format gets a new coder at most this often. */
const MIN_CHANGE_MS = 500
/** A coder that ran this long counts as working. */
const RAN_WELL_MS = 1000
const FIRST_PAUSE_MS = 50
const MAX_PAUSE_MS = 10_000

/**
 * Audio through a coder. When the format changes, the coder is replaced, and packets wait meanwhile. A coder that fails
 * is reopened, with growing pauses, as long as there is audio.
 */
export class CoderPath<In extends Formed, Out extends { pts: number }> {
  /** Packets dropped because no coder was open, or the coder was too busy. */
  dropped = 0
  readonly #options: CoderPathOptions<In, Out>
  readonly #context: Context & { signal: AbortSignal }
  /** Packets that cannot be coded yet. */
  #waiting: In[] = []
  #serving: Promise<void> | undefined
  #track: In['track'] | undefined
  #coder: AudioCoder | undefined
  #openedAt = Number.NEGATIVE_INFINITY
  #last = Number.NEGATIVE_INFINITY
  #next = Number.POSITIVE_INFINITY
  #failures = 0
  #failedAt = 0

  constructor(options: CoderPathOptions<In, Out>, context: Context & { signal: AbortSignal }) {
    this.#options = options
    this.#context = context
  }

  write(packet: In): void {
    if (!this.#serving && this.#ready(packet)) {
      this.#pass(packet)
      return
    }
    this.#waiting.push(packet)
    if (this.#waiting.length > MAX_WAITING) {
      this.#waiting.shift()
      this.dropped++
    }
    this.#serving ??= this.#serve()
  }

  /** Outputs what is left; nothing may be written afterwards. */
  async flush(): Promise<void> {
    await this.#serving
    await this.#retire()
  }

  #ready(packet: In): boolean {
    const same = this.#track && sameAudioForm(packet.track, this.#track)
    return same === true && (this.#coder !== undefined || this.#passes(packet) !== undefined)
  }

  #passes(packet: In): Out | undefined {
    return this.#options.pass?.(packet)
  }

  #pass(packet: In): void {
    const passed = this.#passes(packet)
    if (passed) this.#send(passed)
    else if (this.#coder?.write(packet) !== true) this.dropped++
  }

  async #serve(): Promise<void> {
    const { signal } = this.#context
    while (!signal.aborted) {
      const [first] = this.#waiting
      if (!first) {
        // In the same turn, so that no packet waits with nobody serving it.
        this.#serving = undefined
        return
      }
      if (!this.#ready(first)) {
        const pause = this.#pauseMs(first)
        if (pause > 0) {
          await sleep(pause, signal).catch(() => {})
          const kept = lastRun(this.#waiting)
          this.dropped += kept
          this.#waiting = this.#waiting.slice(kept)
          continue
        }
        await this.#change(first)
      }
      // While the coder opened, other packets may have come, and this one may have been dropped.
      while (this.#waiting[0] && this.#ready(this.#waiting[0])) {
        const packet = this.#waiting.shift()
        if (packet) this.#pass(packet)
      }
    }
  }

  /** How long to wait before opening a coder for this packet. */
  #pauseMs(packet: In): number {
    if (this.#passes(packet)) return 0
    const now = nowMs()
    const again = this.#failures > 0 && this.#track && sameAudioForm(packet.track, this.#track)
    return again ? pauseAfter(this.#failures) - (now - this.#failedAt) : MIN_CHANGE_MS - (now - this.#openedAt)
  }

  /** Opens a coder for another format, or for the same one after a failure. Never throws. */
  async #change(first: In): Promise<void> {
    const { track } = first
    if (this.#track && !sameAudioForm(track, this.#track)) this.#failures = 0
    const retired = this.#retire(first.pts)
    this.#track = track
    try {
      if (!this.#passes(first)) {
        this.#openedAt = nowMs()
        this.#coder = await this.#open(track)
      }
    } catch (thrown) {
      this.#fail(AppError.from(thrown))
    }
    await retired
  }

  async #open(form: In['track']): Promise<AudioCoder> {
    const coder = await this.#options.open(form, (packet) => this.#send(packet), this.#context)
    const started = nowMs()
    void coder.closed.then((closed) => {
      // A replaced coder, or one flushed after its publisher, ends normally.
      if (this.#coder !== coder) return
      this.#coder = undefined
      if (nowMs() - started > RAN_WELL_MS) this.#failures = 0
      this.#fail(closed.error ?? new AppError('ffmpeg-failed', 'the coder of the audio ended by itself'))
    })
    return coder
  }

  #fail(error: AppError): void {
    if (this.#context.signal.aborted) return
    this.#failures++
    this.#failedAt = nowMs()
    this.#options.onFailure(error, this.#failures)
  }

  /** Ends the coder and waits briefly for its last audio; the audio after it begins at `next`. */
  async #retire(next = Number.POSITIVE_INFINITY): Promise<void> {
    const old = this.#coder
    if (!old) return
    this.#next = next
    this.#coder = undefined
    old.end()
    await deadline(old.closed, RETIRE_MS, 'the last audio of a coder').catch(() => {})
    await old.close()
    this.#next = Number.POSITIVE_INFINITY
  }

  #send(packet: Out): void {
    // Encoders pad their last packet; the audio after it takes precedence.
    if (packet.pts <= this.#last || packet.pts >= this.#next) return
    this.#last = packet.pts
    this.#options.onPacket(packet)
  }
}

/** Index of the first packet in the newest format: after a pause, audio in older formats is not worth a coder. */
function lastRun(packets: readonly Formed[]): number {
  const newest = packets.at(-1)
  return newest ? packets.findLastIndex(({ track }) => !sameAudioForm(track, newest.track)) + 1 : 0
}

function pauseAfter(failures: number): number {
  return Math.min(FIRST_PAUSE_MS * 2 ** (failures - 1), MAX_PAUSE_MS)
}
