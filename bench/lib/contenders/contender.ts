import type { EncodedPacket } from '../../../src/core/media/packet.ts'
import type { Units } from '../media/units.ts'

/** Decodes frames and encodes them again, in its own process tree. */
export type Contender = AsyncDisposable & {
  /** Root of the process tree. */
  readonly pid: number
  /** `onFrame` gets `number` when this frame comes out. */
  write(packet: EncodedPacket, number: number): void
  /** CPU time of named processes. */
  parts(): Promise<Record<string, number>>
}

/** `onFrame` gets the number of each output frame, and the arrival of its first bytes. */
export type OpenContender = (units: Units, onFrame: (number: number, at: number) => void) => Promise<Contender>

/** A contender with its name in tables. */
export type Entrant = { name: string; open: OpenContender }
