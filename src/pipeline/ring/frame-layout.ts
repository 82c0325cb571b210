/**
 * Layout of the memory shared by the server and a runner; `docs/frame-ring.md` specifies it for runners in other
 * languages. All fields are little-endian; fields marked atomic are accessed with sequentially consistent 32-bit
 * operations.
 */

/** "MRFR" */
export const MAGIC = 0x52_46_52_4d
export const LAYOUT_VERSION = 3

/** Largest frame of a slot: 3840x3840 with 4 bytes per pixel, the largest that params allow. */
export const SLOT_BYTES = 3840 * 3840 * 4

/** Server to runner: one slot being read, one being written, and a publisher's burst. */
export const INPUT_SLOTS = 8
/** Runner to server: a batch of outputs may come at once. */
export const OUTPUT_SLOTS = 8

/** Byte offsets in the region's header. */
export const REGION = {
  magic: 0,
  version: 4,
  inputSlots: 8,
  outputSlots: 12,
  slotBytes: 16,
  /** Atomic: the runner increments it at least four times a second while its event loop runs. */
  heartbeat: 20,
  /** Atomic: 1 while a frame of this stream is in author code, in a process that several streams share. */
  working: 24,
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

/** Values of a slot's `state`, which is atomic and says who owns the slot. */
export const STATE = { free: 0, writing: 1, filled: 2, reading: 3 } as const

/** Atomic counters of one direction, in words; each has one writing side. */
export const RING_COUNTERS = {
  /** Frames written, by the writer. */
  written: 0,
  /** Filled frames replaced by a newer one, by the writer. */
  overwritten: 1,
  /** Frames taken, by the reader. */
  taken: 2,
  /** Filled frames skipped for a newer one, by the reader. */
  skipped: 3,
  /** Filled frames of an epoch other than the reader's, by the reader. */
  stale: 4,
} as const

/** Atomic counters of the runner, in words. */
export const RUNNER_COUNTERS = {
  /** Input frames processed without an exception. */
  accepted: 0,
  /** Input frames on which the pipeline threw. */
  failed: 1,
  /** Outputs that entered its queue. */
  queued: 2,
  /** Outputs dropped there because nobody took them in time. */
  queueLost: 3,
  /** Outputs that left the pipeline. */
  produced: 4,
  /** Outputs among these that were not sent: of another request, from before a reload, or not a valid frame. */
  refused: 5,
} as const

export const REGION_BYTES = REGION.pixels + (INPUT_SLOTS + OUTPUT_SLOTS) * SLOT_BYTES

/** Pixel format codes in a slot's header, by index. */
export const FORMAT_CODES = ['yuv420p', 'rgb24', 'rgba', 'gray'] as const
