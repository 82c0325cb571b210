/** Many WHEP viewers in one process, controlled over IPC. */

import { RtcViewer, type SeenPacket } from '../media/rtc-peer.ts'
import { type LossyCounts, LossyView } from './loss.ts'

export type ViewerOrder =
  | { type: 'open'; url: string; count: number; loss: number }
  | { type: 'begin' }
  | { type: 'end' }

/** What one viewer saw between `begin` and `end`. */
export type Seen = {
  packets: number
  bytes: number
  /** Gaps in the sequence numbers. */
  lost: number
  /** First packet of each frame: RTP time stamp and arrival. */
  frames: [timestamp: number, at: number][]
  /** Present with a lossy network. */
  lossy?: LossyCounts
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
    // An earlier packet came late, and was not lost.
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
const lossy: LossyView[] = []
const viewers: RtcViewer[] = []

async function open(url: string, count: number, loss: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    const sight = new Sight()
    sights.push(sight)
    const place = viewers.length
    let ssrc = 0
    const view =
      loss > 0
        ? new LossyView(loss, (sequences) => void viewers[place]?.nack(ssrc, sequences).catch(() => {}), place + 1)
        : undefined
    if (view) lossy.push(view)
    viewers.push(
      await RtcViewer.open(url, (packet) => {
        ssrc = packet.ssrc
        sight.add(packet)
        view?.add(packet)
      }),
    )
  }
}

function seen(): Seen[] {
  return sights.map((sight, i) => ({ ...sight.seen, ...(lossy[i] && { lossy: lossy[i].counts }) }))
}

process.on('message', async (order: ViewerOrder) => {
  try {
    if (order.type === 'open') await open(order.url, order.count, order.loss)
    else if (order.type === 'begin') for (const one of [...sights, ...lossy]) one.begin()
    process.send?.({ ok: true, seen: order.type === 'end' ? seen() : [] })
  } catch (thrown) {
    process.send?.({ ok: false, error: String(thrown) })
  }
})
process.on('disconnect', () => process.exit())
process.once('SIGTERM', async () => {
  await Promise.all(viewers.map((viewer) => viewer[Symbol.asyncDispose]()))
  process.exit()
})
