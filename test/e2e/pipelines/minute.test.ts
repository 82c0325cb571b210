import { cpSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { decodeAudio } from '../../helpers/media/probe-ts.ts'
import { record } from '../../helpers/media/record.ts'
import { longestSmooth, measureTone } from '../../helpers/media/tone.ts'
import { installPythonFixtures, type PythonFolder } from '../../helpers/package/python.ts'
import { type Stage, setStage } from '../../helpers/server/stage.ts'

const LEVEL = 0.25
/** Frames of 20 ms, of a minute and of what a machine that stands still may cost of it. */
const FRAMES = 3100
const MOST_FRAMES = 9000

let python: PythonFolder
let stage: Stage
beforeAll(async () => {
  python = await installPythonFixtures('audio')
  const fixtures = fileURLToPath(new URL('../../fixtures/pipelines/audio', import.meta.url))
  cpSync(fixtures, join(python.directory, 'audio-typescript'), { recursive: true })
  stage = await setStage({ env: { PIPELINE_DIR: python.directory, WARM_PIPELINES: '0' } })
}, 400_000)
afterAll(async () => {
  await stage?.[Symbol.asyncDispose]()
  python?.[Symbol.dispose]()
})

it.concurrent.each(['gain', 'py-gain'])(
  'a tone has no gap and no click in a minute of %s',
  async (pipeline) => {
    const outputArgs = [
      '-c:a',
      'libopus',
      '-pes_payload_size',
      '0',
      '-muxdelay',
      '0',
      '-flush_packets',
      '1',
      '-f',
      'mpegts',
    ]
    await stage.publish(pipeline, 'aevalsrc=0.5*sin(2*PI*1000*t):s=48000:c=stereo', {
      query: `?pipeline=${pipeline}&params={"gain":0.5}`,
      inputArgs: ['-f', 'lavfi'],
      outputArgs,
    })
    const audio = async () => (await stage.status(pipeline)).audio
    const through = async (frames: number) => {
      const until = (await audio()).frames + frames
      await stage.waitForStatus(pipeline, 'audio', (now) => now.audio.frames >= until, 100_000)
    }
    await through(25)
    await using recording = await record(`${stage.url}/out/${pipeline}.ts`)
    const before = await audio()
    /** A machine that stands still for half a second has a frame leave as it came; then the minute begins anew. */
    const whole = async () => {
      const { unprocessed, lost } = await audio()
      return unprocessed === before.unprocessed && lost === before.lost
    }
    let passed = 0
    do {
      await through(FRAMES)
      passed += FRAMES
    } while (!(await whole()) && passed < MOST_FRAMES)
    recording.stop()
    const pieces = await decodeAudio(recording.bytes())
    expect(longestSmooth(pieces, 1000, LEVEL / 10)).toBeGreaterThan(60)
    const { largestJumpMs, peak } = measureTone(pieces, 1000, 1)
    expect(largestJumpMs).toBeLessThan(1)
    expect(peak).toBeGreaterThan(LEVEL - 0.015)
    if (await whole()) expect(peak).toBeLessThan(LEVEL + 0.015)
    expect((await stage.status(pipeline)).inference.restarts).toBe(0)
  },
  300_000,
)
