// ISO/IEC 13818-1 §2.4: MPEG transport streams, from packets to bytes.
import { AppError } from '../../core/errors.ts'
import type { EncodedPacket, Track } from '../../core/media/packet.ts'
import { hasDelimiter, type VideoSyntax } from '../access-unit.ts'
import { withOpusHeader } from '../audio/opus-ts.ts'
import { concatBytes } from '../bytes.ts'
import { h264Syntax } from '../h264/nal.ts'
import { hevcSyntax } from '../hevc/nal.ts'
import { DVB_EXTENSION, OPUS_EXTENSION, REGISTRATION, STREAM_TYPE } from './codec.ts'
import { PacketWriter } from './packet-writer.ts'
import { pesHeader } from './pes.ts'
import { buildPat, buildPmt, type PmtStream } from './psi.ts'

const PROGRAM = 1
const PMT_PID = 0x1000
const PIDS = { video: 0x100, audio: 0x101 } as const
const VIDEO_STREAM = 0xe0
const AUDIO_STREAM = 0xc0
/** private_stream_1, which carries Opus. */
const PRIVATE_STREAM = 0xbd

/** The clock runs this far ahead of decoding times (100 ms): the minimum buffer of a player. */
const PCR_LEAD_TICKS = 9000
/** Maximum interval between clock stamps on audio alone: §2.7.2 requires 100 ms. */
const PCR_EVERY_TICKS = 3600
/** Maximum interval between tables. */
const TABLES_EVERY_TICKS = 45_000
/** A larger step ahead (10 s) or back (half a second) begins a new clock. */
const JUMP_AHEAD_TICKS = 900_000
const JUMP_BACK_TICKS = 45_000

/**
 * Writes packets as one program with one video and one audio stream. Streams may join and change codec at any time. PAT
 * and PMT precede every keyframe and come at least twice a second.
 */
export class TsWriter {
  readonly #packets = new PacketWriter()
  readonly #tracks: Partial<Record<'video' | 'audio', Track>> = {}
  #pmtVersion = -1
  #tablesAt: number | undefined
  #pcr: number | undefined

  /** Tracks known in advance are in the first PMT, so that a player expects them. Throws like `write`. */
  constructor(tracks: readonly Track[] = []) {
    for (const track of tracks) this.#join(track)
  }

  /** The output from here on begins with the tables, so that it can be read without what came before. */
  restart(): void {
    this.#tablesAt = undefined
  }

  /**
   * The transport packets of one access unit, as one run of bytes. Throws `unsupported-media` for a codec that a
   * transport stream cannot carry, or an audio packet over 64 KiB.
   */
  write(packet: EncodedPacket): Uint8Array {
    const { track, pts } = packet
    const dts = packet.dts ?? pts
    if (this.#tracks[track.kind]?.codec !== track.codec || !sameChannels(this.#tracks[track.kind], track))
      this.#join(track)
    const out = this.#packets.begin(packet.data.length)
    const keyframe = track.kind === 'video' && packet.key
    if (keyframe || this.#tablesAt === undefined || Math.abs(dts - this.#tablesAt) >= TABLES_EVERY_TICKS) {
      out.section(0, buildPat([{ program: PROGRAM, pmtPid: PMT_PID }]))
      out.section(PMT_PID, this.#pmt())
      this.#tablesAt = dts
    }
    const { streamId, before, payload } = framed(packet)
    const header = pesHeader(streamId, before.length + payload.length, pts, dts)
    const head = before.length > 0 ? concatBytes(header, before) : header
    out.pes(PIDS[track.kind], payload, { randomAccess: packet.key, ...this.#clock(track.kind, dts) }, head)
    return out.end()
  }

  #join(track: Track): void {
    streamType(track)
    this.#tracks[track.kind] = track
    this.#pmtVersion = (this.#pmtVersion + 1) % 32
    this.#tablesAt = undefined
  }

  #pmt(): Uint8Array {
    const { video, audio } = this.#tracks
    const streams: PmtStream[] = [video, audio]
      .filter((track) => track !== undefined)
      .map((track) => ({ streamType: streamType(track), pid: PIDS[track.kind], descriptors: descriptors(track) }))
    return buildPmt(PROGRAM, this.#pmtVersion, { pcrPid: PIDS[this.#clockKind], descriptors: [], streams })
  }

  get #clockKind(): 'video' | 'audio' {
    return this.#tracks.video ? 'video' : 'audio'
  }

  /** The clock stamp for a packet, if one is due; a step back is always marked as a discontinuity. */
  #clock(kind: 'video' | 'audio', dts: number): { pcr?: number; discontinuity?: boolean } {
    if (kind !== this.#clockKind) return {}
    const pcr = dts - PCR_LEAD_TICKS
    const step = pcr - (this.#pcr ?? pcr)
    const discontinuity = step > JUMP_AHEAD_TICKS || step < -JUMP_BACK_TICKS
    const due = kind === 'video' ? step > 0 : step >= PCR_EVERY_TICKS
    if (this.#pcr !== undefined && !discontinuity && !due) return {}
    this.#pcr = pcr
    return { pcr, discontinuity }
  }
}

function sameChannels(a: Track | undefined, b: Track): boolean {
  return a?.kind !== 'audio' || b.kind !== 'audio' || a.channels === b.channels
}

function streamType(track: Track): number {
  switch (track.codec) {
    case 'h264':
      return STREAM_TYPE.h264
    case 'hevc':
      return STREAM_TYPE.hevc
    case 'aac':
      return STREAM_TYPE.aac
    case 'mp3':
      return track.kind === 'audio' && track.sampleRate < 32_000 ? STREAM_TYPE.mpeg2Audio : STREAM_TYPE.mpeg1Audio
    case 'opus':
      return STREAM_TYPE.private
    default:
      throw new AppError(
        'unsupported-media',
        `MPEG-TS does not carry ${track.codec}; accepted are h264, hevc, aac, mp3 and opus`,
      )
  }
}

function descriptors(track: Track): PmtStream['descriptors'] {
  const registration = (name: string) => ({ tag: REGISTRATION, data: new TextEncoder().encode(name) })
  if (track.codec === 'hevc') return [registration('HEVC')]
  if (track.kind !== 'audio' || track.codec !== 'opus') return []
  return [registration('Opus'), { tag: DVB_EXTENSION, data: Uint8Array.of(OPUS_EXTENSION, track.channels) }]
}

const SYNTAX: Partial<Record<Track['codec'], VideoSyntax>> = { h264: h264Syntax, hevc: hevcSyntax }

const NOTHING = new Uint8Array(0)
/** Each with the start code of its NAL unit. */
const DELIMITERS = new Map(
  [h264Syntax, hevcSyntax].map((syntax) => [syntax.codec, Uint8Array.of(0, 0, 0, 1, ...syntax.delimiter)]),
)

/**
 * The payload of a PES packet and its prefix: Opus after its control header, video after an access unit delimiter
 * (§2.14.1).
 */
function framed({ track, data }: EncodedPacket): { streamId: number; before: Uint8Array; payload: Uint8Array } {
  if (track.codec === 'opus') return { streamId: PRIVATE_STREAM, before: NOTHING, payload: withOpusHeader(data) }
  if (track.kind === 'audio') return { streamId: AUDIO_STREAM, before: NOTHING, payload: data }
  const syntax = SYNTAX[track.codec]
  const before = syntax && !hasDelimiter(data, syntax) ? DELIMITERS.get(syntax.codec) : undefined
  return { streamId: VIDEO_STREAM, before: before ?? NOTHING, payload: data }
}
