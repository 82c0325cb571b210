import { expect, test } from 'vitest'
import { barOf } from '../../../src/cli/run/report.ts'

test('the bar shows progress, frames, frames per second and the time left', () => {
  const state = { frames: 150, outputs: 149, seconds: 5, share: 0.5, fps: 61.25, left: 3725 }
  expect(barOf(state)).toBe('[############............]  50 % 150 frames, 61.3 fps, 1:02:05 left')
  expect(barOf({ ...state, share: 1, left: 0 })).toBe(
    '[########################] 100 % 150 frames, 61.3 fps, 0:00 left',
  )
})

test('of audio it shows the seconds, and how much faster they pass', () => {
  const state = { frames: 0, outputs: 0, seconds: 30, fps: 0, audioSeconds: 30, speed: 12.34, share: 0.5, left: 2.4 }
  expect(barOf(state)).toBe('[############............]  50 % 30.0 s of audio, 12.3x, 0:03 left')
})

test('without a duration it shows the position', () => {
  expect(barOf({ frames: 90, outputs: 90, seconds: 61, fps: 30 })).toBe('90 frames, 30.0 fps, at 1:01')
})
