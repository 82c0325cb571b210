/** Many WHEP viewers in one process; told over IPC what to do. */
import { RtcViewer, type SeenPacket } from './rtc-peer.ts'

export type ViewerOrder = { type: 'open'; url: string; count: number } | { type: 'begin' } | { type: 'end' }

/** What one viewer saw between `begin` and `end`. */
export type Seen = {
  packets: number
  bytes: number
  /** Gaps in the sequence numbers. */
  lost: number
  /** First packet of each frame: RTP time stamp, and when it came. */
  frames: [timestamp: number, at: number][]
}

class Sight {
  seen: Seen = { packets: 0, bytes: 0, lost: 0, frames: [] }
  #next: number | undefined
  #timestamp: number | undefined

  begin(): void {
    this.seen = { packets: 0, bytes: 0, lost: 0, frames: [] }
    this.#next = undefined
    this.#timestamp = undefined
  }

  add({ sequence, timestamp, bytes, at }: SeenPacket): void {
    const { seen } = this
    seen.packets++
    seen.bytes += bytes
    const gap = this.#next === undefined ? 0 : (sequence - this.#next) & 0xffff
    // A packet from before is one that came late after all.
    if (gap > 0x8000) seen.lost--
    else {
      seen.lost += gap
      this.#next = (sequence + 1) & 0xffff
    }
    if (this.#timestamp !== undefined && timestamp !== this.#timestamp) seen.frames.push([timestamp, at])
    this.#timestamp = timestamp
  }
}

const sights: Sight[] = []
const viewers: RtcViewer[] = []

async function open(url: string, count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    const sight = new Sight()
    viewers.push(await RtcViewer.open(url, (packet) => sight.add(packet)))
    sights.push(sight)
  }
}

process.on('message', async (order: ViewerOrder) => {
  try {
    if (order.type === 'open') await open(order.url, order.count)
    else if (order.type === 'begin') for (const sight of sights) sight.begin()
    process.send?.({ ok: true, seen: order.type === 'end' ? sights.map(({ seen }) => seen) : [] })
  } catch (thrown) {
    process.send?.({ ok: false, error: String(thrown) })
  }
})
process.on('disconnect', () => process.exit())
process.once('SIGTERM', async () => {
  await Promise.all(viewers.map((viewer) => viewer[Symbol.asyncDispose]()))
  process.exit()
})
