import { runPipeline, testAudio } from 'millrace/testing'
import { expect, test } from 'vitest'
import { Meter } from './index.ts'

test('a tone at half of full scale is told ten times a second, with the time of its frame', async () => {
  const { data, audio, errors } = await runPipeline(Meter, testAudio(50, { level: 0.5, pts: 9000 }))
  expect([errors, audio]).toEqual([[], []])
  const level = { rmsDb: -9, peakDb: -6 }
  expect(data.map(({ value }) => value)).toEqual(Array(10).fill({ levels: [level, level], quiet: false }))
  expect(data.map(({ pts }) => pts)).toEqual(Array.from({ length: 10 }, (_, i) => 9000 + 4 * 1800 + i * 9000))
})

test('silence is quiet', async () => {
  const { data } = await runPipeline(Meter, testAudio(5, { level: 0 }))
  const level = { rmsDb: -120, peakDb: -120 }
  expect(data).toEqual([{ value: { levels: [level, level], quiet: true }, pts: 7200 }])
})

test('how often and how quiet are params', async () => {
  const { data } = await runPipeline(Meter, testAudio(50), { interval_ms: 1000, quiet_db: -6 })
  expect(data.map(({ value }) => value)).toMatchObject([{ quiet: true }])
})
