/**
 * Layout of audio in the memory shared by the server and a runner, behind the pixels; specified in
 * `docs/frame-ring.md`.
 */
import { INPUT_SLOTS, OUTPUT_SLOTS, REGION, SLOT_BYTES } from './frame-layout.ts'

/** Five seconds of 20 ms frames, because publishers send in bursts; a power of two, so that counters may wrap. */
export const AUDIO_SLOTS = 256
/** 20 ms at 48 kHz, two channels. */
export const AUDIO_MAX_SAMPLES = 960 * 2
export const AUDIO_SLOT_HEADER_BYTES = 64
export const AUDIO_SLOT_BYTES = AUDIO_SLOT_HEADER_BYTES + AUDIO_MAX_SAMPLES * 4

const START = REGION.pixels + (INPUT_SLOTS + OUTPUT_SLOTS) * SLOT_BYTES

/** Byte offsets in the region; the counters are atomic words. */
export const AUDIO = {
  counters: { input: START, output: START + 64 },
  /** Frames written and frames dropped for lack of room, by the writer; frames taken, by the reader. */
  written: 0,
  taken: 1,
  lost: 2,
  /** Slots of the input, then of the output. */
  slots: START + 4096,
} as const

/** Offsets in a slot's header, in 32-bit words; `pts` is a 64-bit float. `samples` counts one channel. */
export const AUDIO_SLOT = { epoch: 0, channels: 1, samples: 2, pts: 4 } as const

/** Size of the region, frames and audio together. */
export const SHARED_BYTES = AUDIO.slots + 2 * AUDIO_SLOTS * AUDIO_SLOT_BYTES
