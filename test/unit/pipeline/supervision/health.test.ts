import { describe, expect, test } from 'vitest'
import { assess, type Observations, THRESHOLDS, type Verdict } from '../../../../src/pipeline/supervision/health.ts'

const NOW = 1_000_000
const ago = (seconds: number) => NOW - seconds * 1000

/** A stream that has run well for five minutes. */
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
    ['input lost for 91 s is nobody to restart for', { lastInputAt: ago(91), lastOutputAt: ago(91) }, state('ERROR')],

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
    ['output 2.1 s ago', { lastOutputAt: ago(2.1), owedMs: 2100 }, state('DEGRADED_INFERENCE')],
    ['9 fps out of 30', { outputFps: 9 }, state('DEGRADED_INFERENCE')],
    ['10 fps out of 30', { outputFps: 10 }, state('ONLINE')],
    ['a healthy start, not measured yet', { inputFps: undefined, outputFps: undefined }, state('ONLINE')],
  ])('%s', (_, change, verdict) => {
    expect(assess({ ...GOOD, ...change }, NOW)).toEqual(verdict)
  })
})

test('a healthy start is never called degraded', () => {
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

test('thresholds can be others', () => {
  expect(assess({ ...GOOD, lastOutputAt: ago(3), owedMs: 3000 }, NOW, { ...THRESHOLDS, silenceMs: 2500 })).toEqual(
    NO_OUTPUT,
  )
})
