/** The other end of a frame ring in a separate process: returns each frame, altered, or reports an error. */
import { REGION_BYTES } from '../../../../src/pipeline/ring/frame-layout.ts'
import { FrameRing } from '../../../../src/pipeline/ring/frame-ring.ts'
import { mapSharedFile } from '../../../../src/pipeline/ring/shared-memory.ts'

const { buffer } = mapSharedFile(4, REGION_BYTES)
const input = new FrameRing(buffer, 'input')
const output = new FrameRing(buffer, 'output')
const last = Number(process.argv[2])
const backlog = Number(process.argv[3])

function value(data: Uint8Array): number {
  const [first] = data
  for (const byte of data) if (byte !== first) throw new Error(`torn: ${byte} beside ${first}`)
  return first ?? -1
}

process.send?.('ready')
let newest = -1
let taken = 0
while (newest < last) {
  const got = input.takeNext(1, backlog)
  if (!got) continue
  const { frame } = got
  if (frame.pts <= newest) throw new Error(`frame ${frame.pts} came after ${newest}`)
  if (value(frame.data) !== frame.pts % 251) throw new Error(`frame ${frame.pts} is not itself`)
  newest = frame.pts
  taken++
  output.write({ ...frame, data: frame.data.fill((frame.pts + 1) % 251) }, 1)
}
// An older frame written while the newest was looked up may remain: it is skipped.
if (input.takeNext(1)) throw new Error('a frame after the last')
process.send?.(taken)
process.disconnect()
