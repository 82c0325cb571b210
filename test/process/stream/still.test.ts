import { setTimeout as sleep } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { DEFAULT_COLOUR } from '../../../src/core/media/colour.ts'
import { StillCache } from '../../../src/stream/output/still.ts'
import { oddFfmpeg } from '../../helpers/media/odd-ffmpeg.ts'
import { quiet, testFfmpeg } from '../ffmpeg/clips.ts'

const frame = (pts: number) => ({ format: 'gray', width: 64, height: 64, pts, data: new Uint8Array(64 * 64) }) as const

it('a still that is asked for while its stream ends is not found, rather than a fault of the server', async () => {
  const ffmpeg = await testFfmpeg()
  const stream = new AbortController()
  const stills = new StillCache(ffmpeg, { signal: stream.signal, log: quiet })
  const asked = stills.get(frame(0), DEFAULT_COLOUR)
  stream.abort()
  await expect(asked).rejects.toMatchObject({ code: 'not-found', message: 'the stream has ended' })
})

it('an encode that takes long is shared until it ends', async () => {
  await using slow = await oddFfmpeg('sleep 1.5')
  const stills = new StillCache({ ...(await testFfmpeg()), path: slow.path }, { log: quiet })
  const first = stills.get(frame(0), DEFAULT_COLOUR)
  await sleep(700)
  expect(stills.get(frame(1), DEFAULT_COLOUR)).toBe(first)
  const { etag } = await first
  const next = stills.get(frame(2), DEFAULT_COLOUR)
  expect(next).not.toBe(first)
  expect((await next).etag).toBe(etag)
})
