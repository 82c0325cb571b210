import type { EncodedPacket } from '../../src/core/packet.ts'
import type { Units } from './units.ts'

/** Something that decodes pictures and encodes them again, in a process tree of its own. */
export type Contender = AsyncDisposable & {
  /** Root of the process tree. */
  readonly pid: number
  /** `number` is what `onPicture` gets when this picture comes out. */
  write(packet: EncodedPacket, number: number): void
  /** Processes of which one wants to know the share, by what they do. */
  parts(): Promise<Record<string, number>>
}

/** `onPicture` gets the number of each picture that comes out, and when its first bytes came. */
export type OpenContender = (units: Units, onPicture: (number: number, at: number) => void) => Promise<Contender>

/** A contender with its name in tables. */
export type Entrant = { name: string; open: OpenContender }
