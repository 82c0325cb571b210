import { TsWriter } from '../codec/mpegts/writer.ts'
import type { EncodedPacket, Track } from '../core/media/packet.ts'

/** The transport packets of one access unit. */
export type RunChunk = {
  bytes: Uint8Array
  /** True at the beginning of a run: a transport stream of its own, with all tracks in its first tables. */
  begins: boolean
  /** Whether the run has audio. */
  audio: boolean
}

/**
 * Number of frames that come first. ffmpeg looks at one second of any track: where the second frame is late, and comes after more
 * audio than that, it goes on without knowing the resolution, and no server accepts what it sends.
 */
const FRAMES_FIRST = 3
/** Number of frames to wait for the first audio. */
const AUDIO_WITHIN_FRAMES = 6
/** Ticks of stream (2 s) to wait for audio that is known to come: late frames come together, and before it. */
const EXPECTED_WITHIN_TICKS = 180_000
/**
 * Ticks of the stream's first audio that are left out: once encoded as AAC it begins 1024 samples earlier, and ffmpeg
 * refuses to send a packet by RTMP that is older than the first frame.
 */
const AAC_DELAY_TICKS = 1920
/** Limit of audio packets that wait for the first frame. */
const MAX_EARLY_AUDIO = 250

/**
 * Packets as transport streams for consumers that look only at the beginning, and accept neither a new resolution nor
 * another track: on such a change a new run begins, at a keyframe. `expectsAudio`: whether there will be audio, as far as is
 * known.
 */
export async function* tsRuns(
  packets: AsyncIterable<EncodedPacket>,
  expectsAudio: () => boolean = () => false,
): AsyncGenerator<RunChunk> {
  const opening = new RunOpening(expectsAudio)
  let run: { writer: TsWriter; form: string; audio: boolean; audioFrom: number } | undefined
  for await (const packet of packets) {
    const { track, key } = packet
    if (track.kind === 'audio') opening.audio = track
    const another =
      run && track.kind === 'video' && key && (formOf(track) !== run.form || (opening.audio && !run.audio))
    if (run && !another) {
      if (track.kind === 'audio') {
        if (!run.audio || packet.pts < run.audioFrom) continue
        // Only the first is compared: the stream's clock may restart.
        run.audioFrom = Number.NEGATIVE_INFINITY
      }
      yield { bytes: run.writer.write(packet), begins: false, audio: run.audio }
      continue
    }
    run = undefined
    const collected = opening.collect(packet)
    if (!collected) continue
    const tracks = [opening.video, opening.audio].filter((one) => one !== undefined)
    const [first] = collected as [EncodedPacket]
    const [form, audio] = [formOf(opening.video!), opening.audio !== undefined]
    run = { writer: new TsWriter(tracks), form, audio, audioFrom: audioFrom(first) }
    const { writer } = run
    for (const one of collected) yield { bytes: writer.write(one), begins: one === first, audio }
  }
}

/** Collects packets until a run's tracks are known. */
class RunOpening {
  video: Track | undefined
  audio: Track | undefined
  readonly #expectsAudio: () => boolean
  #held: EncodedPacket[] = []
  #frames = 0

  constructor(expectsAudio: () => boolean) {
    this.#expectsAudio = expectsAudio
  }

  /** The packets of the beginning, a keyframe first, once complete. */
  collect(packet: EncodedPacket): EncodedPacket[] | undefined {
    const { track, key } = packet
    if (track.kind === 'audio') this.#held.push(packet)
    else if (key) {
      this.video = track
      // Held packets in another form can no longer be shown.
      if (this.#frames > 0 && formOf(track) !== formOf(this.#held.find(isVideo)?.track ?? track)) this.#drop()
      this.#frames++
      this.#held.push(packet)
    } else if (this.#frames > 0) {
      this.#frames++
      this.#held.push(packet)
    }
    if (this.#frames === 0) {
      if (this.#held.length > MAX_EARLY_AUDIO) this.#held.shift()
      return undefined
    }
    const first = this.#held.find(isVideo)!
    if (this.#frames < FRAMES_FIRST) return undefined
    if (!this.audio && this.#mayHaveAudio(packet.pts - first.pts)) return undefined
    const frames = this.#held.filter(isVideo)
    const audio = this.#held.filter((one) => !isVideo(one) && one.pts >= audioFrom(first))
    this.#drop()
    return [...frames, ...audio]
  }

  #mayHaveAudio(ticks: number): boolean {
    return this.#frames < AUDIO_WITHIN_FRAMES || (ticks < EXPECTED_WITHIN_TICKS && this.#expectsAudio())
  }

  #drop(): void {
    this.#held = []
    this.#frames = 0
  }
}

const isVideo = ({ track }: EncodedPacket): boolean => track.kind === 'video'

const audioFrom = (firstFrame: EncodedPacket): number => firstFrame.pts + AAC_DELAY_TICKS

const formOf = (track: Track): string =>
  track.kind === 'video' ? `${track.codec} ${track.width}x${track.height}` : track.codec
