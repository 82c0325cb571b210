/** The other process of `../ring.ts`: returns every frame unchanged, by the transport named in its arguments. */

import { Doorbell } from '../../src/pipeline/ring/doorbell.ts'
import { INPUT_SLOTS, REGION_BYTES } from '../../src/pipeline/ring/frame-layout.ts'
import { FrameRing } from '../../src/pipeline/ring/frame-ring.ts'
import { mapSharedFile } from '../../src/pipeline/ring/shared-memory.ts'
import { readFrames } from './media/read-frames.ts'

const [way, bytes] = [process.argv[2], Number(process.argv[3])]

function ring(): void {
  const { buffer } = mapSharedFile(4, REGION_BYTES)
  const input = new FrameRing(buffer, 'input')
  const output = new FrameRing(buffer, 'output')
  const bell = Doorbell.onDescriptor(5, () => {
    for (let got = input.takeNext(1, INPUT_SLOTS); got; got = input.takeNext(1, INPUT_SLOTS)) {
      output.write(got.frame, got.epoch)
      bell.ring()
    }
  })
}

if (way === 'ring') ring()
else readFrames(process.stdin, bytes, (frame) => process.stdout.write(frame))
process.on('message', () => process.send?.(process.cpuUsage()))
process.on('disconnect', () => process.exit())
process.send?.('ready')
