import { NativeMemory } from '../native/memory.ts'

/** The longest packet over UDP or TCP, and what protection adds to it. */
const SCRATCH_BYTES = 65_536 + 64

/** Working memory for the packets of all sessions, one at a time: nothing is kept between calls. */
export const scratch = new NativeMemory(SCRATCH_BYTES)

/** Working memory for a nonce or counter. */
export const nonce = new NativeMemory(16)

/** SRTCP's last word: this flag and the packet index (RFC 3711 §3.4). */
export const SRTCP_ENCRYPTED = 0x80000000
