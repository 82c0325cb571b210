/**
 * Where everything lies in the memory that the server and one runner share; `docs/frame-ring.md` is the same for a
 * reader who writes a runner in another language. All fields are little-endian; fields marked atomic are written and
 * read with sequentially consistent 32-bit operations.
 */

/** "MRFR" */
export const MAGIC = 0x52_46_52_4d
export const LAYOUT_VERSION = 1

/** The largest frame a slot holds: 3840x2160, 4 bytes a pixel. */
export const SLOT_BYTES = 3840 * 2160 * 4

/** From the server to the runner: one being read, one being written, and a burst of a publisher's. */
export const INPUT_SLOTS = 8
/** From the runner to the server: a batch of outputs may come at once. */
export const OUTPUT_SLOTS = 8

/** Byte offsets in the region's header. */
export const REGION = {
  magic: 0,
  version: 4,
  inputSlots: 8,
  outputSlots: 12,
  slotBytes: 16,
  /** Atomic: the runner adds one at least four times a second while its event loop turns. */
  heartbeat: 20,
  inputCounters: 64,
  outputCounters: 128,
  runnerCounters: 192,
  slotHeaders: 256,
  /** Pixels of input slot 0; the other slots follow, input before output, `SLOT_BYTES` apart. */
  pixels: 4096,
} as const

export const SLOT_HEADER_BYTES = 64

/** Offsets in a slot's header, in 32-bit words; `pts` is a 64-bit float at an even word. */
export const SLOT = { state: 0, seq: 1, epoch: 2, format: 3, width: 4, height: 5, bytes: 6, pts: 8 } as const

/** Values of a slot's `state`, which is atomic and tells who owns the slot. */
export const STATE = { free: 0, writing: 1, filled: 2, reading: 3 } as const

/** Atomic counters of one direction, in words; each is written by one side only. */
export const RING_COUNTERS = {
  /** Frames put in, by the writer. */
  written: 0,
  /** Filled frames that a newer one replaced, by the writer. */
  overwritten: 1,
  /** Frames taken out, by the reader. */
  taken: 2,
  /** Filled frames passed over for a newer one, by the reader. */
  skipped: 3,
  /** Filled frames of another epoch than the reader's, by the reader. */
  stale: 4,
} as const

/** Atomic counters of what the runner does with frames, in words. */
export const RUNNER_COUNTERS = {
  /** Input frames the pipeline took without an exception. */
  accepted: 0,
  /** Input frames on which it threw. */
  failed: 1,
  /** Outputs that entered its queue. */
  queued: 2,
  /** Outputs lost there because nobody took them in time. */
  queueLost: 3,
  /** Outputs that left the pipeline. */
  produced: 4,
  /** Of those, the ones not sent on: of another request, of before a reload, or not a frame. */
  refused: 5,
} as const

export const REGION_BYTES = REGION.pixels + (INPUT_SLOTS + OUTPUT_SLOTS) * SLOT_BYTES

/** Codes of pixel formats in a slot's header. */
export const FORMAT_CODES = ['yuv420p', 'rgb24', 'rgba', 'gray'] as const
