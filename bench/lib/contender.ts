import type { EncodedPacket } from '../../src/core/media/packet.ts'
import type { Units } from './units.ts'

/** Something that decodes frames and encodes them again, in a process tree of its own. */
export type Contender = AsyncDisposable & {
  /** Root of the process tree. */
  readonly pid: number
  /** `number` is what `onFrame` gets when this frame comes out. */
  write(packet: EncodedPacket, number: number): void
  /** Processes of which one wants to know the share, by what they do. */
  parts(): Promise<Record<string, number>>
}

/** `onFrame` gets the number of each frame that comes out, and when its first bytes came. */
export type OpenContender = (units: Units, onFrame: (number: number, at: number) => void) => Promise<Contender>

/** A contender with its name in tables. */
export type Entrant = { name: string; open: OpenContender }
