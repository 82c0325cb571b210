import { describe, expect, test } from 'vitest'
import {
  assess,
  type Observations,
  THRESHOLDS,
  type Verdict,
} from '../../../../../src/pipeline/supervision/lease/health.ts'
import { LeaseMeter } from '../../../../../src/pipeline/supervision/lease/meter.ts'

const NOW = 1_000_000
const ago = (seconds: number) => NOW - seconds * 1000

/** A stream that has been healthy for five minutes. */
const GOOD: Observations = {
  failed: false,
  ready: true,
  streaming: true,
  processStartedAt: ago(320),
  readyAt: ago(310),
  streamStartedAt: ago(300),
  lastInputAt: ago(0.03),
  lastOutputAt: ago(0.05),
  owedMs: 20,
  inputFps: 30,
  outputFps: 30,
}

const NO_OUTPUT: Verdict = { state: 'ERROR', restart: 'no-output' }
const state = (name: Verdict['state']): Verdict => ({ state: name })

describe('the state, rule by rule', () => {
  test.each<[string, Partial<Observations>, Verdict]>([
    ['all is well', {}, state('ONLINE')],
    ['given up', { failed: true, ready: false }, state('ERROR')],
    ['given up, whatever else', { failed: true }, state('ERROR')],

    ['loading', { ready: false, readyAt: undefined, streamStartedAt: ago(181) }, state('LOADING')],
    [
      'loading for too long',
      { ready: false, readyAt: undefined, streamStartedAt: ago(183), processStartedAt: ago(183) },
      { state: 'ERROR', restart: 'load-timeout' },
    ],
    [
      'an update gives loading more time',
      { ready: false, readyAt: undefined, streamStartedAt: ago(400), lastParamsAt: ago(100) },
      state('LOADING'),
    ],

    ['no stream', { streaming: false, lastInputAt: undefined }, state('OFFLINE')],
    ['no stream for long', { streaming: false, lastInputAt: ago(3.1) }, state('OFFLINE')],
    ['no stream just now', { streaming: false, lastInputAt: ago(2.9) }, state('DEGRADED_INPUT')],

    ['input lost for 61 s', { lastInputAt: ago(61), lastOutputAt: ago(61) }, state('DEGRADED_INPUT')],
    ['a quiet hour is no error', { lastInputAt: ago(3600), lastOutputAt: ago(3600) }, state('DEGRADED_INPUT')],

    ['just begun', { streamStartedAt: ago(3.9), lastOutputAt: undefined, lastInputAt: ago(0) }, state('ONLINE')],
    [
      'begun, no input',
      { streamStartedAt: ago(5), lastOutputAt: undefined, lastInputAt: undefined },
      state('DEGRADED_INPUT'),
    ],
    [
      'begun, no output',
      { streamStartedAt: ago(5), lastOutputAt: undefined, owedMs: 5000 },
      state('DEGRADED_INFERENCE'),
    ],
    ['begun, no output for 12 s', { streamStartedAt: ago(12.1), lastOutputAt: undefined, owedMs: 12_000 }, NO_OUTPUT],
    [
      'no output since new params',
      { lastParamsAt: ago(6), lastOutputAt: ago(7), owedMs: 7000 },
      state('DEGRADED_INFERENCE'),
    ],

    ['outputs stopped 4.9 s ago', { lastOutputAt: ago(4.9), owedMs: 4900 }, state('DEGRADED_INFERENCE')],
    ['outputs stopped 5.1 s ago', { lastOutputAt: ago(5.1), owedMs: 5100 }, NO_OUTPUT],
    ['the first frame after a pause of 6 s', { lastOutputAt: ago(6) }, state('ONLINE')],
    [
      'the first frame of all, 20 s late',
      { streamStartedAt: ago(20), lastOutputAt: undefined },
      state('DEGRADED_INPUT'),
    ],
    ['the first frame since new params', { lastParamsAt: ago(20), lastOutputAt: ago(21) }, state('DEGRADED_INPUT')],
    ['outputs stopped because inputs did', { lastInputAt: ago(5), lastOutputAt: ago(5.5) }, state('DEGRADED_INPUT')],

    ['an error 14 s ago', { lastErrorAt: ago(14) }, state('DEGRADED_INFERENCE')],
    ['an error 16 s ago', { lastErrorAt: ago(16) }, state('ONLINE')],
    ['a restart 59 s ago', { lastRestartAt: ago(59) }, state('DEGRADED_INFERENCE')],
    ['a restart 61 s ago', { lastRestartAt: ago(61) }, state('ONLINE')],

    ['input 2.1 s ago', { lastInputAt: ago(2.1), lastOutputAt: ago(2.1) }, state('DEGRADED_INPUT')],
    ['14 fps in', { inputFps: 14, outputFps: 14 }, state('DEGRADED_INPUT')],
    ['15 fps in', { inputFps: 15, outputFps: 15 }, state('ONLINE')],
    ['14 fps of 15', { inputFps: 14, outputFps: 14, sourceFps: 15 }, state('ONLINE')],
    ['11 fps of 15', { inputFps: 11, outputFps: 11, sourceFps: 15 }, state('DEGRADED_INPUT')],
    ['14 fps of 30', { inputFps: 14, outputFps: 14, sourceFps: 30 }, state('DEGRADED_INPUT')],
    ['3.5 fps of 5', { inputFps: 3.5, outputFps: 3.5, sourceFps: 5 }, state('ONLINE')],
    ['2.5 fps of 5', { inputFps: 2.5, outputFps: 2.5, sourceFps: 5 }, state('DEGRADED_INPUT')],
    ['one frame in 3 s', { lastInputAt: ago(2.9), lastOutputAt: ago(2.9), sourceFps: 1 / 3 }, state('ONLINE')],
    ['none of those', { lastInputAt: ago(6.1), lastOutputAt: ago(6.1), sourceFps: 1 / 3 }, state('DEGRADED_INPUT')],
    ['output 2.1 s ago', { lastOutputAt: ago(2.1), owedMs: 2100 }, state('DEGRADED_INFERENCE')],
    ['9 fps out of 30', { outputFps: 9 }, state('DEGRADED_INFERENCE')],
    ['10 fps out of 30', { outputFps: 10 }, state('ONLINE')],
    ['a healthy start, not measured yet', { inputFps: undefined, outputFps: undefined }, state('ONLINE')],
  ])('%s', (_, change, verdict) => {
    expect(assess({ ...GOOD, ...change }, NOW)).toEqual(verdict)
  })
})

test('a healthy start is never degraded', () => {
  for (let ms = 0; ms < 20_000; ms += 100) {
    const start = NOW - ms
    const seen: Observations = {
      ...GOOD,
      processStartedAt: start,
      readyAt: start + 50,
      streamStartedAt: start,
      lastInputAt: ms > 100 ? NOW - 33 : undefined,
      lastOutputAt: ms > 100 ? NOW - 40 : undefined,
      inputFps: ms > 2100 ? 30 : undefined,
      outputFps: ms > 2100 ? 30 : undefined,
    }
    expect(assess(seen, NOW).state).toBe('ONLINE')
  }
})

test.each([0.4, 1, 2, 5, 9.7, 14.9, 15, 15.1, 24, 60])('a source of %d frames per second keeps one state', (fps) => {
  const meter = new LeaseMeter()
  const states = new Set<string>()
  for (let frame = 0, ms = 0; ms < 30_000; ms += 50) {
    for (; (frame * 1000) / fps <= ms; frame++) {
      // With network jitter.
      const at = NOW + (frame * 1000) / fps + (frame % 3) * 4
      meter.input((frame * 90_000) / fps, at)
      meter.output((frame * 90_000) / fps, at + 30)
    }
    const now = NOW + ms + 40
    const begun = { processStartedAt: NOW - 9000, readyAt: NOW - 8000, streamStartedAt: NOW - 7000 }
    const last = { lastInputAt: meter.lastInputAt, lastOutputAt: meter.lastOutputAt }
    // After a single frame the interval is unknown.
    if (frame < 2) continue
    states.add(
      assess({ ...GOOD, ...begun, ...last, inputFps: undefined, outputFps: undefined, ...meter.knownRates(now) }, now)
        .state,
    )
  }
  expect([...states]).toEqual(['ONLINE'])
})

test('a source at half of its own rate is degraded, and recovers with it', () => {
  const meter = new LeaseMeter()
  const stateAt = (now: number) => {
    const last = { lastInputAt: meter.lastInputAt, lastOutputAt: meter.lastOutputAt }
    return assess({ ...GOOD, ...last, ...meter.knownRates(now) }, now).state
  }
  let now = NOW
  // A camera whose timestamps announce 12 frames per second.
  const frames = (seconds: number, arriving: number) => {
    for (let frame = 0; frame < seconds * arriving; frame++) {
      now += 1000 / arriving
      meter.input(((meter.delivered + 1) * 90_000) / 12, now)
      meter.output(((meter.delivered + 1) * 90_000) / 12, now)
    }
    return stateAt(now)
  }
  expect(frames(4, 12)).toBe('ONLINE')
  expect(frames(4, 6)).toBe('DEGRADED_INPUT')
  expect(frames(4, 12)).toBe('ONLINE')
})

test('thresholds are configurable', () => {
  expect(assess({ ...GOOD, lastOutputAt: ago(3), owedMs: 3000 }, NOW, { ...THRESHOLDS, silenceMs: 2500 })).toEqual(
    NO_OUTPUT,
  )
})
