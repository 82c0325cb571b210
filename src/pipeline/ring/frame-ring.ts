import { AppError } from '../../core/errors.ts'
import { frameBytes, type VideoFrame } from '../../core/media/frame.ts'
import { lendMemory } from '../../core/media/frame-pool.ts'
import {
  FORMAT_CODES,
  INPUT_SLOTS,
  LAYOUT_VERSION,
  MAGIC,
  OUTPUT_SLOTS,
  REGION,
  RING_COUNTERS,
  SLOT,
  SLOT_BYTES,
  SLOT_HEADER_BYTES,
  STATE,
} from './frame-layout.ts'

export type Direction = 'input' | 'output'
export type RingCount = { -readonly [K in keyof typeof RING_COUNTERS]: number } & { waiting: number }

/** A frame with the epoch in which it was written. */
export type EpochFrame = { frame: VideoFrame; epoch: number }

type Slot = {
  words: Int32Array
  pts: Float64Array
  pixels: Uint8Array
  /** The pixels while this process has lent them, until they are written as a frame or returned. */
  lent?: Uint8Array | undefined
}

/** Counters of two processes are read one after the other, and may differ by this much. */
const RACE = 2 ** 16

/** Slots per direction that may be lent at once; the others are for frames that come meanwhile. */
const MAX_LENT = { input: 2, output: 4 } as const

/** Writes the header of new memory. */
export function formatRegion(buffer: ArrayBuffer): void {
  const head = new DataView(buffer)
  head.setUint32(REGION.version, LAYOUT_VERSION, true)
  head.setUint32(REGION.inputSlots, INPUT_SLOTS, true)
  head.setUint32(REGION.outputSlots, OUTPUT_SLOTS, true)
  head.setUint32(REGION.slotBytes, SLOT_BYTES, true)
  head.setUint32(REGION.magic, MAGIC, true)
}

/** Throws if the memory has another version's layout. */
export function checkRegion(buffer: ArrayBuffer): void {
  const head = new DataView(buffer)
  const version = head.getUint32(REGION.version, true)
  if (head.getUint32(REGION.magic, true) !== MAGIC || version !== LAYOUT_VERSION)
    throw new AppError('internal', `frame memory has layout ${version}, this runner expects ${LAYOUT_VERSION}`)
}

/**
 * One direction of frames in shared memory, for one writer and one reader in different processes. Whoever changes a
 * slot's state by compare-and-swap owns the slot, so a frame is seen complete or not at all, and neither side ever
 * waits.
 */
export class FrameRing {
  /** Called when lent memory was returned. */
  onReturn: (() => void) | undefined
  readonly #slots: Slot[]
  readonly #maxLent: number
  readonly #counters: Int32Array
  #seq = 0
  #lastTaken: number | undefined

  constructor(buffer: ArrayBuffer, direction: Direction) {
    const input = direction === 'input'
    this.#maxLent = MAX_LENT[direction]
    const first = input ? 0 : INPUT_SLOTS
    this.#slots = Array.from({ length: input ? INPUT_SLOTS : OUTPUT_SLOTS }, (_, index) => {
      const header = REGION.slotHeaders + (first + index) * SLOT_HEADER_BYTES
      return {
        words: new Int32Array(buffer, header, SLOT_HEADER_BYTES / 4),
        pts: new Float64Array(buffer, header + SLOT.pts * 4, 1),
        pixels: new Uint8Array(buffer, REGION.pixels + (first + index) * SLOT_BYTES, SLOT_BYTES),
      }
    })
    this.#counters = new Int32Array(buffer, input ? REGION.inputCounters : REGION.outputCounters, 16)
  }

  /** True while a write would replace a frame that nobody has read. */
  get full(): boolean {
    return this.#slots.every(({ words }) => Atomics.load(words, SLOT.state) !== STATE.free)
  }

  /** Number of slots lent now. */
  get lent(): number {
    return this.#slots.reduce((sum, { lent }) => (lent ? sum + 1 : sum), 0)
  }

  /**
   * Writer: memory for the pixels of a frame, which then need not be copied when it is written; undefined if none is
   * free. Return it if it is not written.
   */
  take(bytes: number): Uint8Array | undefined {
    if (bytes > SLOT_BYTES || this.lent >= this.#maxLent) return undefined
    const slot = this.#slots.find((one) => swap(one, STATE.free, STATE.writing))
    return slot && this.#lend(slot, bytes)
  }

  /**
   * Writer: puts the frame, or a copy of it if its memory is not a slot's, into a free slot, or else over the oldest
   * filled one. Throws `pipeline-failed` for a frame that no slot can hold or whose bytes do not match its resolution.
   */
  write(frame: VideoFrame, epoch: number): void {
    checkFits(frame)
    const own = this.#slots.find(({ lent }) => lent === frame.data)
    const slot = own ?? this.#claim()
    if (!slot) {
      this.#count('written')
      this.#count('overwritten')
      return
    }
    const { words, pts, pixels } = slot
    if (own) own.lent = undefined
    else {
      try {
        pixels.set(frame.data)
      } catch (thrown) {
        // A slot left in the state `writing` would be lost for good.
        Atomics.store(words, SLOT.state, STATE.free)
        throw thrown
      }
    }
    words[SLOT.seq] = this.#seq = (this.#seq + 1) | 0
    words[SLOT.epoch] = epoch
    words[SLOT.format] = FORMAT_CODES.indexOf(frame.format)
    words[SLOT.width] = frame.width
    words[SLOT.height] = frame.height
    words[SLOT.bytes] = frame.data.length
    pts[0] = frame.pts
    this.#count('written')
    fill(slot)
  }

  /**
   * Reader: a frame of `epoch` newer than any it took before: the oldest if no more than `backlog` wait, so that a
   * burst passes complete, or else the newest. Skipped frames, and those of other epochs or of a resolution other than
   * `size`, are freed and counted.
   */
  takeNext(epoch: number, backlog = 0, size: { width?: number; height?: number } = {}): EpochFrame | undefined {
    for (;;) {
      const filled = this.#filled()
      const oldestFirst = filled.length <= backlog
      const next = oldestFirst ? filled[0] : filled.at(-1)
      if (!next) return undefined
      if (!this.#own(next.slot, oldestFirst ? next.seq : undefined)) continue
      const { words } = next.slot
      const { width = words[SLOT.width], height = words[SLOT.height] } = size
      if (words[SLOT.epoch] !== epoch || words[SLOT.width] !== width || words[SLOT.height] !== height) {
        this.#free(next.slot, 'stale')
        continue
      }
      const seq = words[SLOT.seq]!
      if (!oldestFirst) for (const { slot } of filled.slice(0, -1)) this.#passOver(slot, seq, epoch)
      return this.#copyOut(next.slot)
    }
  }

  /**
   * Reader: the oldest frame, so that order is kept. Its memory is the slot's own, to be returned by its last holder;
   * if too many slots are held, a copy in memory from `allocate`, by default new memory.
   */
  takeOldest(allocate?: (bytes: number) => Uint8Array): EpochFrame | undefined {
    for (;;) {
      const [oldest] = this.#filled()
      if (!oldest) return undefined
      const { slot, seq } = oldest
      if (!this.#own(slot, seq)) continue
      return this.lent < this.#maxLent ? this.#lendOut(slot) : this.#copyOut(slot, allocate)
    }
  }

  /** The counters that both sides have written so far; `waiting` are frames that nobody has taken or replaced. */
  count(): RingCount {
    const at = (name: keyof typeof RING_COUNTERS) => Atomics.load(this.#counters, RING_COUNTERS[name])
    const [written, overwritten, taken] = [at('written'), at('overwritten'), at('taken')]
    const [skipped, stale] = [at('skipped'), at('stale')]
    const waiting = difference(written - overwritten - taken - skipped - stale)
    return { written, overwritten, taken, skipped, stale, waiting }
  }

  #claim(): Slot | undefined {
    // A correct reader never holds all slots, so the first look succeeds, or the second if the reader was equally
    // quick.
    for (let look = 0; look < 8; look++) {
      for (const slot of this.#slots) if (swap(slot, STATE.free, STATE.writing)) return slot
      for (const { slot } of this.#filled()) {
        if (!swap(slot, STATE.filled, STATE.writing)) continue
        this.#count('overwritten')
        return slot
      }
    }
    return undefined
  }

  /** Filled slots with their sequence numbers, oldest first. */
  #filled(): { slot: Slot; seq: number }[] {
    const filled = this.#slots.filter(({ words }) => Atomics.load(words, SLOT.state) === STATE.filled)
    return filled
      .map((slot) => ({ slot, seq: slot.words[SLOT.seq]! }))
      .sort((a, b) => (isBefore(a.seq, b.seq) ? -1 : 1))
  }

  /**
   * False if the slot must not be read: the writer is replacing it, or has done so since `expected` was seen, or it is
   * older than the last one taken. Such a frame was missed: a slot may be filled just after a look has passed it.
   */
  #own(slot: Slot, expected: number | undefined): boolean {
    if (!swap(slot, STATE.filled, STATE.reading)) return false
    const seq = slot.words[SLOT.seq]!
    if (this.#lastTaken !== undefined && isBefore(seq, this.#lastTaken)) {
      this.#free(slot, 'skipped')
      return false
    }
    if (expected !== undefined && seq !== expected) {
      fill(slot)
      return false
    }
    return true
  }

  #passOver(slot: Slot, newest: number, epoch: number): void {
    if (!swap(slot, STATE.filled, STATE.reading)) return
    // The writer may have put a newer frame here in between.
    if (!isBefore(slot.words[SLOT.seq]!, newest)) fill(slot)
    else this.#free(slot, slot.words[SLOT.epoch] === epoch ? 'skipped' : 'stale')
  }

  #free({ words }: Slot, why: 'taken' | 'skipped' | 'stale'): void {
    this.#count(why)
    Atomics.store(words, SLOT.state, STATE.free)
  }

  #copyOut(slot: Slot, allocate?: (bytes: number) => Uint8Array): EpochFrame {
    try {
      const { bytes, frame, epoch } = this.#readHeader(slot)
      // Not zeroed first, because every byte is written here.
      const data = allocate?.(bytes) ?? new Uint8Array(Buffer.allocUnsafeSlow(bytes).buffer)
      data.set(slot.pixels.subarray(0, bytes))
      return { frame: { data, ...frame }, epoch }
    } finally {
      this.#free(slot, 'taken')
    }
  }

  #lendOut(slot: Slot): EpochFrame {
    this.#count('taken')
    try {
      const { bytes, frame, epoch } = this.#readHeader(slot)
      return { frame: { data: this.#lend(slot, bytes), ...frame }, epoch }
    } catch (thrown) {
      Atomics.store(slot.words, SLOT.state, STATE.free)
      throw thrown
    }
  }

  /** The slot must be owned. */
  #readHeader({ words, pts }: Slot): { bytes: number; frame: Omit<VideoFrame, 'data'>; epoch: number } {
    const [width, height, bytes] = [words[SLOT.width]!, words[SLOT.height]!, words[SLOT.bytes]!]
    const format = FORMAT_CODES[words[SLOT.format]!]
    this.#lastTaken = words[SLOT.seq]!
    if (!format || bytes > SLOT_BYTES || bytes !== frameBytes(format, width, height))
      throw new AppError('pipeline-failed', 'a slot of the frame ring has a broken header')
    return { bytes, frame: { format, width, height, pts: pts[0]! }, epoch: words[SLOT.epoch]! }
  }

  #lend(slot: Slot, bytes: number): Uint8Array {
    const data = slot.pixels.subarray(0, bytes)
    slot.lent = data
    lendMemory(data, () => {
      // It was written as a frame meanwhile.
      if (slot.lent !== data) return
      slot.lent = undefined
      Atomics.store(slot.words, SLOT.state, STATE.free)
      this.onReturn?.()
    })
    return data
  }

  #count(name: keyof typeof RING_COUNTERS): void {
    Atomics.add(this.#counters, RING_COUNTERS[name], 1)
  }
}

/** Checked before a slot is claimed, on both sides: the server kills a runner whose slot headers are inconsistent. */
function checkFits(frame: VideoFrame): void {
  const problem = slotProblem(frame)
  if (problem) throw new AppError('pipeline-failed', problem)
}

/** Why no slot can hold this frame; undefined if one can. */
export function slotProblem({ data, format, width, height }: Omit<VideoFrame, 'pts'>): string | undefined {
  const what = `a ${format} frame of ${width}x${height}`
  if (data.length > SLOT_BYTES) return `${what} has ${data.length} bytes; accepted are at most ${SLOT_BYTES}`
  const expected = frameBytes(format, width, height)
  return data.length === expected ? undefined : `${what} has ${data.length} bytes where it takes ${expected}`
}

function swap({ words }: Slot, from: number, to: number): boolean {
  return Atomics.compareExchange(words, SLOT.state, from, to) === from
}

/**
 * Difference of counters that wrap at 32 bits, as a number of frames; slightly negative if one was read before another.
 */
export function difference(frames: number): number {
  return ((frames + RACE) >>> 0) - RACE
}

/** Whether `seq` precedes `other`; sequence numbers wrap. */
function isBefore(seq: number, other: number): boolean {
  return ((seq - other) | 0) < 0
}

function fill({ words }: Slot): void {
  Atomics.store(words, SLOT.state, STATE.filled)
}
