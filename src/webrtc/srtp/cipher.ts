import type { NativeMemory } from '../native/memory.ts'

/** One direction of an SRTP session. */
export type SrtpCipher = {
  /** Bytes that protection adds to an RTP packet. */
  readonly overheadBytes: number
  /**
   * Encrypts one RTP packet in place: header, payload and `overheadBytes` of room begin at `at`. `rollover` counts
   * wraparounds of the sequence number. A packet with the index of an earlier one must be identical to it.
   */
  protectRtp(memory: NativeMemory, at: number, headerBytes: number, payloadBytes: number, rollover: number): void
  /** The decrypted packet; undefined if it is not authentic. */
  unprotectRtp(packet: Buffer, headerBytes: number, rollover: number): Buffer | undefined
  protectRtcp(packet: Buffer, index: number): Buffer
  unprotectRtcp(packet: Buffer): { packet: Buffer; index: number } | undefined
  /** Discards the keys. Nothing else may be called afterwards. */
  free(): void
}
