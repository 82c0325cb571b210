import { expect, test } from 'vitest'
import { AudioOutput, AudioPipeline, definePipeline, Pipeline } from '../../../src/sdk/pipeline.ts'
import { audioOf } from '../../../src/sdk/pipeline-class.ts'
import { runPipeline, testAudio, testFrames } from '../../../src/sdk/testing.ts'

const frame = testAudio(1)[0]!
const quieter = (level: number) => (given: typeof frame) => ({ ...given, data: given.data.map((s) => s * level) })

test('a function is enough for audio, and video passes through', async () => {
  const Gain = definePipeline({ audio: quieter(0.5) })
  expect([Gain.video, audioOf(Gain)]).toEqual([false, { mode: 'process', frameMs: 20, channels: 2 }])
  const { audio, errors } = await runPipeline(Gain, testAudio(3))
  expect(errors).toEqual([])
  expect(audio.map(({ pts }) => pts)).toEqual([0, 1800, 3600])
  expect(audio[0]!.data).toEqual(frame.data.map((sample) => sample / 2))
})

test('without audio a pipeline has none', () => {
  expect(audioOf(definePipeline({ load: () => ({ process: (frame) => frame }) }))).toBeUndefined()
  expect(
    audioOf(
      class extends Pipeline {
        override async putVideoFrame() {}
      },
    ),
  ).toBeUndefined()
})

test('a model may process both, and return data', async () => {
  const Both = definePipeline({
    audio: { frameMs: 10, channels: 1 },
    load: () => ({ process: (frame) => frame, audio: (given) => ({ frame: given, data: given.data.length }) }),
  })
  expect([Both.video, audioOf(Both)]).toEqual([true, { mode: 'process', frameMs: 10, channels: 1 }])
  const frames = [...testFrames(Both, 2), ...testAudio(2, { frameMs: 10, channels: 1 })]
  const { outputs, audio, data, errors } = await runPipeline(Both, frames)
  expect([outputs.length, audio.length, errors]).toEqual([2, 2, []])
  expect(data).toEqual([0, 900].map((pts) => ({ value: 480, pts })))
})

test.each([
  ['process', 1],
  ['listen', 0],
] as const)('nothing for a frame: with %s there are %d outputs', async (mode, outputs) => {
  const { audio, errors } = await runPipeline(definePipeline({ audio: { mode, process: () => undefined } }), [frame])
  expect([errors, audio.length]).toEqual([[], outputs])
})

test('a class with putAudioFrame receives audio', async () => {
  class Echo extends AudioPipeline {
    override async putAudioFrame(given: typeof frame, requestId: string) {
      for (const _ of 'ab') this.outputs.put(new AudioOutput(given, requestId))
    }
  }
  expect([Echo.video, audioOf(Echo)?.mode]).toEqual([false, 'process'])
  expect((await runPipeline(Echo, [frame])).audio).toEqual([frame, frame])
})

test.each([
  [{ ...frame, data: [1, 2] }, 'data must be a Float32Array'],
  [{ ...frame, sampleRate: 44_100 }, 'sampleRate must be 48000, not 44100'],
  [{ ...frame, channels: 3 }, 'channels must be 1 or 2, not 3'],
  [{ ...frame, pts: 0.5 }, 'pts must be a whole number'],
  [{ ...frame, data: new Float32Array(3) }, 'no whole number of 2 channels'],
  [{ ...frame, data: new Float32Array(0) }, 'or none'],
  [{ ...frame, data: new Float32Array(48_000 * 22) }, 'accepted are at most 10'],
  [{ ...frame, data: new Float32Array([0, Number.NaN]) }, 'samples that are no numbers'],
])('invalid audio output is refused: %#', (wrong, why) => {
  expect(() => new AudioOutput(wrong as typeof frame, '')).toThrow(why)
})

test.each([
  [{ mode: 'both' }, 'audio.mode must be process or listen or give, not both'],
  [{ frameMs: 30 }, 'audio.frameMs must be 10 or 20, not 30'],
  [{ channels: 6 }, 'audio.channels must be 1 or 2, not 6'],
])('an invalid audio value is reported: %#', (audio, why) => {
  expect(() =>
    audioOf(
      class extends AudioPipeline {
        static override audio = audio as object
        override async putAudioFrame() {}
      },
    ),
  ).toThrow(why)
})

test('a definition that lacks a member is an error that names it', async () => {
  expect(() => definePipeline({})).toThrow('definePipeline needs load, audio, or both')
  const run = (definition: object) =>
    runPipeline(definePipeline(definition as Parameters<typeof definePipeline>[0]), [])
  await expect(run({ audio: {}, load: () => ({ process: () => null }) })).rejects.toThrow('load must give an audio')
  await expect(run({ load: () => ({ audio: () => null }) })).rejects.toThrow('load must give a process')
})
