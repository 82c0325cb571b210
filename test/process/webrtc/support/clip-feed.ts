import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { TsReader } from '../../../../src/codec/mpegts/reader.ts'
import type { Broadcast } from '../../../../src/core/broadcast.ts'
import { nowMs } from '../../../../src/core/clock.ts'
import type { EncodedPacket } from '../../../../src/core/media/packet.ts'
import { type ClipOptions, makeNumberedClip } from '../../../helpers/media/clip.ts'

/** The packets of a numbered clip in H.264 and Opus. */
export async function clipPackets(options: Omit<ClipOptions, 'file'>): Promise<EncodedPacket[]> {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-webrtc-'))
  try {
    const file = join(folder, 'clip.ts')
    await makeNumberedClip({ audioCodec: 'libopus', ...options, file })
    const reader = new TsReader()
    return [...reader.push(await readFile(file)), ...reader.flush()]
  } finally {
    await rm(folder, { recursive: true })
  }
}

/** Writes the packets into a broadcast in real time, looped with continuous timestamps, until aborted. */
export async function playPackets(
  packets: readonly EncodedPacket[],
  broadcast: Broadcast,
  signal: AbortSignal,
): Promise<void> {
  const ordered = packets.toSorted((a, b) => a.pts - b.pts)
  const first = ordered[0]!.pts
  const turn = Math.max(...packets.map(({ pts }) => pts)) - first + 3000
  const started = nowMs()
  for (let base = 0; !signal.aborted; base += turn) {
    for (const packet of ordered) {
      const pts = packet.pts - first + base
      const wait = started + pts / 90 - nowMs()
      if (wait > 1) await sleep(wait)
      if (signal.aborted) return
      broadcast.write({ ...packet, pts })
    }
  }
}
