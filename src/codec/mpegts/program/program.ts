// ISO/IEC 13818-1 §2.4.4.8: the elementary streams of one program.
// Bound: time grows with the bytes; packets are views, or copies with parameter sets as `ParameterSets` says. 16 MiB of video
// and 256 KiB of audio are kept at most.
import { Unwrapper } from '../../../core/clock.ts'
import type { AudioCodec, EncodedPacket } from '../../../core/media/packet.ts'
import { readAc3Header } from '../../audio/ac3.ts'
import { readAdtsHeader } from '../../audio/adts.ts'
import { latmHeaderReader } from '../../audio/latm.ts'
import { readMpegAudioHeader } from '../../audio/mpeg.ts'
import { opusHeaderReader } from '../../audio/opus-ts.ts'
import { h264Syntax } from '../../h264/nal.ts'
import { hevcSyntax } from '../../hevc/nal.ts'
import { AudioUnits } from '../audio.ts'
import type { CodedStream, Contents } from '../codec.ts'
import type { TsPacket } from '../packet.ts'
import { TIMESTAMP_BITS } from '../pes.ts'
import { UnitAssembler } from '../unit.ts'
import { VideoUnits } from '../video.ts'

/** The streams read from a program: one video and one audio stream, or only one of them. */
export type TsProgram = { number: number; video?: 'h264' | 'hevc'; audio?: AudioCodec }

/** One elementary stream and its way from transport packets to `EncodedPacket`s. */
type Line = {
  pid: number
  kind: 'video' | 'audio'
  /** The PMT's entry, to detect a change. */
  key: string
  assembler: UnitAssembler
  frames: VideoUnits | AudioUnits
  scrambled: boolean
}

/** An audio PES packet has at most 64 KiB if it states its length, as required. */
const MAX_AUDIO_UNIT_BYTES = 256 * 1024

/**
 * Reads the streams of one program, which share one clock. Packets are views of its input, or copies with parameter
 * sets inserted, see `ParameterSets`; a packet comes of at least seven bytes (three for Opus).
 */
export class Program {
  readonly number: number
  /** From its PMT. */
  contents: Contents = { unread: {} }
  readonly #clock = new Unwrapper(TIMESTAMP_BITS)
  readonly #maxUnitBytes: number
  #lines: Line[] = []
  #droppedBefore = 0
  /** Audio came scrambled, or in an unsupported codec. */
  #scrambledAudio = false

  constructor(number: number, maxUnitBytes: number) {
    this.number = number
    this.#maxUnitBytes = maxUnitBytes
  }

  get description(): TsProgram {
    const { video, audio } = this.contents
    return {
      number: this.number,
      ...(video && { video: video.codec.codec as 'h264' | 'hevc' }),
      ...(audio && { audio: audio.codec.codec as AudioCodec }),
    }
  }

  /** For a kind that is not read: a description of what there is instead, '' if there is none. */
  missing(kind: 'video' | 'audio'): string | undefined {
    const scrambled = kind === 'audio' ? this.#scrambledAudio : this.scrambledVideo
    if (scrambled) return `scrambled ${kind}`
    const { [kind]: chosen, unread } = this.contents
    return chosen ? undefined : (unread[kind] ?? '')
  }

  get scrambledVideo(): boolean {
    return this.#lines.some(({ kind, scrambled }) => kind === 'video' && scrambled)
  }

  /** Number of damaged pictures and audio frames. */
  get lost(): number {
    return this.#droppedBefore + this.#lines.reduce((sum, line) => sum + dropped(line), 0)
  }

  get pids(): number[] {
    return this.#lines.map(({ pid }) => pid)
  }

  has(pid: number): boolean {
    return this.#lines.some((line) => line.pid === pid)
  }

  /**
   * Applies its PMT: keeps unchanged streams, ends others, and begins new ones. Returns the pids that are no longer
   * read.
   */
  select(contents: Contents, out: EncodedPacket[]): number[] {
    this.contents = contents
    const { video, audio } = contents
    const chosen = [video, audio].filter((stream) => stream !== undefined)
    const keys = chosen.map(({ pid, codec }) => `${pid} ${JSON.stringify(codec)}`)
    const ended = this.#lines.filter(({ key }) => !keys.includes(key))
    for (const line of ended) {
      for (const unit of line.assembler.flush()) out.push(...line.frames.take(unit))
      this.#droppedBefore += dropped(line)
      if (line.kind === 'audio') this.#scrambledAudio = false
    }
    this.#lines = chosen.map(({ pid, codec }, i) => {
      const key = keys[i] as string
      return this.#lines.find((line) => line.key === key) ?? this.#openLine(pid, key, codec)
    })
    return ended.map(({ pid }) => pid).filter((pid) => !this.has(pid))
  }

  /** Takes the payload of one packet of its pids; `gap` if packets are missing before it. */
  read(packet: TsPacket, payload: Uint8Array, gap: boolean, out: EncodedPacket[]): void {
    const line = this.#lines.find(({ pid }) => pid === packet.pid)
    if (!line) return
    if (gap) {
      for (const unit of line.assembler.lose()) out.push(...line.frames.take(unit))
      if (line.frames instanceof AudioUnits) line.frames.lose()
    }
    for (const unit of line.assembler.push(payload, packet.start, packet.stuffed)) out.push(...line.frames.take(unit))
    if (packet.start) this.#note(line, line.assembler.scrambled)
  }

  /** Like `UnitAssembler.more`, for packets of this pid. */
  more(pid: number, data: Uint8Array, offset: number, step: number, bytes: number, count: number): boolean {
    const line = this.#lines.find((candidate) => candidate.pid === pid)
    return line?.assembler.more(data, offset, step, bytes, count) ?? false
  }

  /** A packet of its pids is scrambled. */
  scrambled(pid: number): void {
    const line = this.#lines.find((candidate) => candidate.pid === pid)
    if (line) this.#note(line, true)
  }

  /** Ends the input, normally or truncated (`cut`). */
  flush(cut: boolean, out: EncodedPacket[]): void {
    for (const { assembler, frames } of this.#lines) {
      for (const unit of assembler.flush(cut)) out.push(...frames.take(unit))
    }
  }

  #note(line: Line, scrambled: boolean): void {
    line.scrambled = scrambled
    if (line.kind === 'audio') this.#scrambledAudio = scrambled
  }

  #openLine(pid: number, key: string, codec: CodedStream): Line {
    const { kind } = codec
    const maxBytes = kind === 'video' ? this.#maxUnitBytes : Math.min(MAX_AUDIO_UNIT_BYTES, this.#maxUnitBytes)
    const assembler = new UnitAssembler({ continues: kind === 'video', maxBytes })
    return { pid, kind, key, assembler, frames: this.#openFrames(codec), scrambled: false }
  }

  #openFrames(codec: CodedStream): VideoUnits | AudioUnits {
    switch (codec.codec) {
      case 'h264':
        return new VideoUnits(h264Syntax, this.#clock)
      case 'hevc':
        return new VideoUnits(hevcSyntax, this.#clock)
      case 'aac':
        return new AudioUnits('aac', readAdtsHeader, this.#clock)
      case 'mp3':
        return new AudioUnits('mp3', readMpegAudioHeader, this.#clock)
      case 'aac_latm':
        return new AudioUnits('aac_latm', latmHeaderReader(), this.#clock)
      case 'ac3':
      case 'eac3':
        return new AudioUnits(codec.codec, readAc3Header, this.#clock)
      case 'opus':
        return new AudioUnits('opus', opusHeaderReader(codec.channels), this.#clock)
    }
  }
}

function dropped({ assembler, frames }: Line): number {
  return assembler.dropped + (frames instanceof AudioUnits ? frames.skipped : 0)
}
