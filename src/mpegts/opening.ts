import type { TsProgram } from '../codec/mpegts/reader.ts'
import { TICKS_PER_SECOND } from '../core/clock.ts'
import type { EncodedPacket, Track } from '../core/media/packet.ts'

/** Limit of audio packets kept until the first keyframe. */
const MAX_HELD_AUDIO = 256
/** Limit while the time stamps stand still. */
const MAX_HELD_BYTES = 64 * 1024 * 1024
/** Memory of an object in addition to its bytes. */
const PACKET_BYTES = 256
/** How much later than the first track, in stream time, the second may come. */
const MAX_LAG_TICKS = TICKS_PER_SECOND

/**
 * Collects the first packets of a stream until all tracks of its program are known: the first keyframe, and the first
 * audio if it comes within a second of stream time. Audio alone suffices only if `audioAlone`, because video may join a
 * program later. Holds 256 packets of audio alone, and 64 MiB with video.
 */
export class Opening {
  packets: EncodedPacket[] = []
  #program: number | undefined
  #bytes = 0
  readonly #tracks = new Map<string, Track>()
  #start: number | undefined
  #complete = false
  readonly #audioAlone: boolean

  /** `audioAlone`: a program that lists no video is complete without it. */
  constructor(audioAlone = false) {
    this.#audioAlone = audioAlone
  }

  /** Video first. */
  get tracks(): Track[] {
    return [this.#tracks.get('video'), this.#tracks.get('audio')].filter((track) => track !== undefined)
  }

  get complete(): boolean {
    return this.#complete
  }

  add(packet: EncodedPacket, program: TsProgram): void {
    if (program.number !== this.#program) this.#restart(program.number)
    this.packets.push(packet)
    this.#bytes += packet.data.length + PACKET_BYTES
    if (!this.#tracks.has(packet.track.kind)) this.#tracks.set(packet.track.kind, packet.track)
    if (!this.#tracks.has('video')) {
      if (this.#audioAlone && !program.video) this.#complete = true
      else if (this.packets.length > MAX_HELD_AUDIO)
        this.#bytes -= (this.packets.shift()?.data.length ?? 0) + PACKET_BYTES
      return
    }
    this.#start ??= packet.pts
    const all = this.#tracks.has('audio') || !program.audio
    this.#complete ||= all || this.#bytes > MAX_HELD_BYTES || packet.pts - this.#start >= MAX_LAG_TICKS
  }

  /** Whether a stream can be made of what came. */
  get usable(): boolean {
    return this.#tracks.size > 0
  }

  /** Another program is read from here on. */
  #restart(program: number): void {
    this.#program = program
    this.packets = []
    this.#bytes = 0
    this.#tracks.clear()
    this.#start = undefined
  }
}
