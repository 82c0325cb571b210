import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { TsReader } from '../../../src/codec/mpegts/reader.ts'
import { TICKS_PER_SECOND } from '../../../src/core/clock.ts'
import type { EncodedPacket, VideoTrack } from '../../../src/core/media/packet.ts'
import { makeNumberedClip } from '../../../test/helpers/media/clip.ts'
import type { Size } from './sizes.ts'

export const FPS = 30
export const FRAME_TICKS = TICKS_PER_SECOND / FPS

/** Access units of a clip at 30 frames per second, repeated endlessly. */
export type Units = {
  size: Size
  /** Access unit `number`, from 0 without an end; its `pts` is `number` frames after 0. */
  at(number: number): EncodedPacket<VideoTrack>
}

export const CLIP_SECONDS = 8

/** The numbered test clip of that size, H.264 with a keyframe every second. */
export async function clipUnits(size: Size): Promise<Units> {
  const folder = await mkdtemp(join(tmpdir(), 'mr-bench-'))
  try {
    const file = join(folder, 'clip.ts')
    const { width, height, kbps } = size
    await makeNumberedClip({ file, seconds: CLIP_SECONDS, width, height, fps: FPS, gop: FPS, kbps })
    const reader = new TsReader()
    const packets = [...reader.push(await readFile(file)), ...reader.flush()].filter(isVideo)
    return {
      size,
      at: (number) => ({ ...packets[number % packets.length]!, pts: number * FRAME_TICKS }),
    }
  } finally {
    await rm(folder, { recursive: true })
  }
}

export function isVideo(packet: EncodedPacket): packet is EncodedPacket<VideoTrack> {
  return packet.track.kind === 'video'
}
