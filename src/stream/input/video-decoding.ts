import { type SourceForm, sameSource, sourceForm } from '../../codec/source-form.ts'
import { nowMs } from '../../core/clock.ts'
import { AppError } from '../../core/errors.ts'
import type { VideoFrame } from '../../core/media/frame.ts'
import type { FrameMemory } from '../../core/media/frame-pool.ts'
import type { EncodedPacket, VideoTrack } from '../../core/media/packet.ts'
import type { Context } from '../../core/resource.ts'
import { followsSizes } from '../../ffmpeg/binary.ts'
import { openVideoDecoder } from '../../ffmpeg/decoder/decoder.ts'
import { decodedColour } from '../../ffmpeg/decoder/filters.ts'
import type { Size } from '../size.ts'
import { DecoderFailures } from './decoder-failures.ts'
import { DecoderRun } from './decoder-run.ts'
import { decodedSize, type FrameForm, sameForm, sameVideo, shownSize } from './form.ts'
import { FpsLimit } from './fps-limit.ts'
import { GopCache } from './gop-cache.ts'
import type { InputOptions } from './input-options.ts'
import { SecondDecoder } from './second-decoder.ts'

/** A decoder beside the one in use. */
export type Beside = {
  /** Replaces the decoder in use, after the last frame that it output. */
  adopt(): void
  close(): Promise<unknown>
}

export type BesideOptions = {
  /** Allocates memory until it is adopted. */
  take: FrameMemory['take']
  /** Takes the frames until then, and returns their memory. */
  onFrame(frame: VideoFrame): void
}

type Out = { onFrame(frame: VideoFrame): void; memory: FrameMemory; after?: Promise<unknown> | undefined }

/**
 * Decoders at once, including those giving their last frames; if a source changes faster than decoders open, frames are
 * lost.
 */
const MAX_RUNS = 6

/**
 * Decodes one publisher's video. A decoder serves one codec, pixel format and set of colours, as a keyframe declares
 * them: when these change, and when the pipeline wants another form, the next decoder takes over. A change of size
 * alone needs none. A decoder that fails is replaced, and starts with all packets since the newest keyframe.
 */
export class VideoDecoding {
  readonly #options: InputOptions
  readonly #context: Context & { signal: AbortSignal }
  readonly #gop = new GopCache()
  readonly #failures: DecoderFailures
  /** All decoders that have not ended, in order. */
  readonly #runs = new Set<DecoderRun>()
  #run: DecoderRun | undefined
  #beside: DecoderRun | undefined
  #track: VideoTrack | undefined
  #source: SourceForm | undefined
  /** The form that the pipeline wanted when the decoder was opened. */
  #form: FrameForm | undefined
  #scaledTo: Size | undefined
  #limit: FpsLimit
  #pausing = false
  #ended = false
  #lost = 0
  #thinned = 0
  #lastPts = Number.NEGATIVE_INFINITY

  constructor(options: InputOptions, context: Context & { signal: AbortSignal }) {
    this.#options = options
    this.#context = context
    this.#limit = new FpsLimit(options.maxFps)
    this.#failures = new DecoderFailures(options, context)
  }

  stats() {
    return {
      lost: this.#lost + [...this.#runs].reduce((sum, run) => sum + run.lost, 0),
      thinned: this.#thinned,
      scaledTo: this.#scaledTo ?? null,
      interlaced: this.#source?.interlaced ?? false,
      pixelAspect: this.#source?.pixelAspect ?? null,
      decoderRestarts: this.#failures.count,
      decoderPid: this.#run?.pid,
      failing: this.#failures.failing,
    }
  }

  write(packet: EncodedPacket<VideoTrack>): void {
    const changed = this.#learn(packet)
    this.#gop.push(packet)
    this.#beside?.write(packet)
    if (changed) {
      if (!packet.key) this.#gop.clear()
      this.#replace()
    } else if (this.#run) this.#run.write(packet)
    else if (packet.key) this.#open()
    else if (!this.#pausing) this.#options.source.requestKeyframe()
  }

  /** The pipeline may want another form: the decoder is replaced within the group of frames. */
  reformed(): void {
    if (this.#run && this.#form && !sameForm(this.#options.form(), this.#form)) this.#replace()
  }

  /**
   * Also decodes in another form, from where the decoder in use is; undefined while there is nothing to decode. Rejects
   * as opening a decoder does.
   */
  async openBeside(form: FrameForm, out: BesideOptions): Promise<Beside | undefined> {
    const [track, source] = [this.#track, this.#source]
    if (!track || !this.#run || this.#ended || this.#context.signal.aborted) return undefined
    const { maxFps, memory: own } = this.#options
    let adopted = false
    const take: FrameMemory['take'] = (bytes) => (adopted ? own : out).take(bytes)
    const memory = { take, give: own.give }
    const second = new SecondDecoder({ maxFps, reached: () => this.#lastPts, onFrame: out.onFrame, memory })
    const onFrame = (frame: VideoFrame) => {
      if (adopted) this.#decoded(frame)
      else if (this.#beside === run) second.decoded(frame)
      else own.give(frame.data)
    }
    const run = this.#start(track, form, { onFrame, memory })
    this.#beside = run
    const close = () => {
      if (this.#beside === run) this.#beside = undefined
      if (!adopted) run.giveUp()
      return adopted ? Promise.resolve() : run.done
    }
    await run.opened
    if (run.pid === undefined) {
      void close()
      throw (await run.done).error ?? new AppError('ffmpeg-failed', 'no second decoder could be opened')
    }
    const adopt = () => {
      if (this.#beside !== run) return
      this.#beside = undefined
      const same = this.#track && sameVideo(this.#track, track) && sameSource(this.#source, source)
      // A decoder that is opening reads the form when it is open.
      if (!this.#run || !same || second.newest === Number.NEGATIVE_INFINITY) {
        run.giveUp()
        this.reformed()
        return
      }
      adopted = true
      for (const old of this.#runs) old.giveUp()
      this.#form = form
      this.#scaledTo = decodedSize(form, track, this.#options.maxPixels, this.#source)
      this.#limit = second.limit
      this.#lastPts = second.newest
      this.#use(run)
    }
    return { adopt, close }
  }

  /** Outputs the last frames of an ended publisher; resolves when the decoders are gone. */
  async flush(): Promise<void> {
    this.#ended = true
    this.#beside?.giveUp()
    for (const run of this.#runs) run.end()
    await Promise.all([...this.#runs].map((run) => run.done))
  }

  /** Whether the frames from this packet on need another decoder. */
  #learn({ track, key, data }: EncodedPacket<VideoTrack>): boolean {
    const [oldTrack, oldSource] = [this.#track, this.#source]
    this.#track = track
    const known = oldTrack?.codec === track.codec ? oldSource : undefined
    this.#source = (key && sourceForm(track.codec, data)) || known
    if (oldTrack === undefined || (sameVideo(oldTrack, track) && sameSource(oldSource, this.#source))) return false
    const goesOn = key && oldTrack.codec === track.codec && sameSource(oldSource, this.#source)
    return !(goesOn && this.#follows(oldTrack) && this.#follows(track))
  }

  /** The filters of an open decoder also fit frames of this size. */
  #follows(track: VideoTrack): boolean {
    if (!this.#run || this.#beside || !this.#form) return false
    if (this.#form.size) return shownSize(this.#source, track) === undefined
    if (!track.width || !track.height || !followsSizes(this.#options.ffmpeg)) return false
    return decodedSize(this.#form, track, this.#options.maxPixels, this.#source) === undefined
  }

  #replace(): void {
    const previous = this.#run
    this.#run = undefined
    previous?.end()
    // Never the oldest: if each change came before the previous decoder was open, there would be no frame at all.
    if (this.#runs.size >= MAX_RUNS) for (const run of [...this.#runs].slice(1)) if (run.opening) run.giveUp()
    this.#open(previous?.done)
  }

  #open(after?: Promise<unknown>): void {
    const track = this.#track
    if (!track || this.#pausing || this.#ended || this.#context.signal.aborted) return
    const form = this.#options.form()
    this.#form = form
    this.#scaledTo = decodedSize(form, track, this.#options.maxPixels, this.#source)
    const [first] = this.#gop.packets
    if (first) this.#options.onColour(decodedColour(this.#source?.colour), first.pts)
    const { memory } = this.#options
    const onFrame = (frame: VideoFrame) => {
      if (run.givenUp) memory.give(frame.data)
      else this.#decoded(frame)
    }
    const run = this.#start(track, form, { onFrame, memory, after })
    this.#use(run)
  }

  #start(track: VideoTrack, form: FrameForm, { after, ...out }: Out): DecoderRun {
    const { ffmpeg, maxPixels, source } = this.#options
    const size = decodedSize(form, track, maxPixels, this.#source)
    const shown = shownSize(this.#source, track)
    const fit = form.size ? 'cover' : 'stretch'
    const known = { ffmpeg, track, source: this.#source, format: form.format } as const
    const onFrame = (frame: VideoFrame) => {
      out.onFrame(frame)
      run.gave()
    }
    const { memory } = out
    const options = { ...known, ...(size && { size }), ...(shown && { shown }), fit, memory, onFrame } as const
    const run = new DecoderRun({
      open: () => openVideoDecoder(options, this.#context),
      packets: this.#gop.packets,
      after,
      reached: () => this.#lastPts,
      requestKeyframe: () => source.requestKeyframe(),
    })
    return run
  }

  #use(run: DecoderRun): void {
    this.#run = run
    this.#runs.add(run)
    void this.#watch(run)
  }

  async #watch(run: DecoderRun): Promise<void> {
    const started = nowMs()
    const { error } = await run.done
    this.#runs.delete(run)
    this.#lost += run.lost
    if (this.#run !== run) return
    this.#run = undefined
    if (this.#ended || this.#context.signal.aborted) return
    this.#pausing = true
    await this.#failures.failed(
      error ?? new AppError('ffmpeg-failed', 'the decoder ended by itself'),
      nowMs() - started,
    )
    this.#pausing = false
    this.#open()
  }

  /** Frames output before the decoder was replaced are skipped. */
  #decoded(frame: VideoFrame): void {
    const { latency, memory, onFrame } = this.#options
    if (frame.pts <= this.#lastPts) {
      memory.give(frame.data)
      return
    }
    this.#failures.gave()
    this.#lastPts = frame.pts
    latency.decoded(frame.pts)
    if (this.#limit.isTooFast(frame.pts)) {
      this.#thinned++
      memory.give(frame.data)
      return
    }
    onFrame(frame)
  }
}
