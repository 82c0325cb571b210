import type { TsProgram } from '../codec/mpegts/reader.ts'
import { TICKS_PER_SECOND } from '../core/clock.ts'
import { AppError } from '../core/errors.ts'
import type { EncodedPacket, Track } from '../core/media/packet.ts'

/** Audio kept while the first keyframe is waited for. */
const MAX_HELD_AUDIO = 256
/** Stream time that a second track may come later than the first one. */
const MAX_LAG_TICKS = TICKS_PER_SECOND

/**
 * Collects the first packets of a stream until all tracks of its program are known: one packet of each, or a second of
 * stream after the first keyframe (or after the first audio, in a program of audio alone).
 */
export class Opening {
  readonly packets: EncodedPacket[] = []
  readonly #tracks = new Map<string, Track>()
  #start: number | undefined
  #complete = false

  /** Video first. */
  get tracks(): Track[] {
    return [this.#tracks.get('video'), this.#tracks.get('audio')].filter((track) => track !== undefined)
  }

  get complete(): boolean {
    return this.#complete
  }

  add(packet: EncodedPacket, program: TsProgram): void {
    this.packets.push(packet)
    if (!this.#tracks.has(packet.track.kind)) this.#tracks.set(packet.track.kind, packet.track)
    if (program.video && !this.#tracks.has('video')) {
      if (this.packets.length > MAX_HELD_AUDIO) this.packets.shift()
      return
    }
    this.#start ??= packet.pts
    const all = this.#tracks.size === (program.video ? 1 : 0) + (program.audio ? 1 : 0)
    this.#complete ||= all || packet.pts - this.#start >= MAX_LAG_TICKS
  }

  /** True when a stream can be made of what came. */
  usable(program: TsProgram | undefined): boolean {
    return program !== undefined && this.#tracks.has(program.video ? 'video' : 'audio')
  }

  /** Why it cannot be opened; `until` says when the wait was over. */
  failure(program: TsProgram | undefined, until: string): AppError {
    if (!program) return new AppError('unsupported-media', `the MPEG-TS stream had no program tables ${until}`)
    const missing = this.usable(program) ? 'no audio packet' : program.video ? 'no video keyframe' : 'no audio packet'
    return new AppError('unsupported-media', `the MPEG-TS stream had ${missing} ${until}`, { details: { program } })
  }
}
