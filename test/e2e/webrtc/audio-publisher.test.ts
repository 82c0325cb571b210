import { fileURLToPath } from 'node:url'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { launchChromium } from '../../helpers/browser/chromium.ts'
import { askParams, joinWithChannels } from '../../helpers/browser/data-channels.ts'
import { decodeAudio } from '../../helpers/media/probe-ts.ts'
import { record } from '../../helpers/media/record.ts'
import { measureTone } from '../../helpers/media/tone.ts'
import { http, httpJson } from '../../helpers/server/http.ts'
import { type Stage, setStage } from '../../helpers/server/stage.ts'
import { waitFor } from '../../helpers/wait.ts'

let browser: Browser
let stage: Stage
beforeAll(async () => {
  const PIPELINE_DIR = fileURLToPath(new URL('../../fixtures/pipelines', import.meta.url))
  stage = await setStage({ env: { PIPELINE_DIR, WARM_PIPELINES: '0', PIPELINE: 'noop' } })
  browser = await launchChromium()
})
afterAll(async () => {
  await browser?.close()
  await stage?.[Symbol.asyncDispose]()
})

/** A steady tone of 1 kHz at half of full scale, and no video section in the offer. */
const TONE = `
  const context = (window.context = new AudioContext({ sampleRate: 48000 }))
  const [oscillator, gain, sink] = [context.createOscillator(), context.createGain(), context.createMediaStreamDestination()]
  oscillator.frequency.value = 1000
  gain.gain.value = 0.5
  oscillator.connect(gain).connect(sink)
  oscillator.start()
  peer.addTransceiver(sink.stream.getAudioTracks()[0], { direction: 'sendonly' })`

const publish = (path: string): Promise<Page> => joinWithChannels(browser, stage.url, path, ['params'], { add: TONE })

async function through(stream: string, frames: number): Promise<void> {
  const before = (await stage.status(stream)).audio.frames
  await stage.waitForStatus(stream, 'audio', ({ audio }) => audio.frames >= before + frames)
}

async function tone(stream: string): Promise<ReturnType<typeof measureTone>> {
  await using recording = await record(`${stage.url}/out/${stream}.ts`)
  await through(stream, 150)
  recording.stop()
  return measureTone(await decodeAudio(recording.bytes()), 1000, 0.3)
}

it('a publisher who sends audio alone is welcome to a pipeline that works on audio only', async () => {
  const page = await publish('/whip/voice?pipeline=gain&params={"gain":0.5}')
  await through('voice', 50)
  const { state, pipeline, ingest, audio } = await stage.status('voice')
  expect([state, pipeline, audio.mode]).toEqual(['ONLINE', 'gain', 'process'])
  expect(ingest).toMatchObject({ kind: 'whip', codec: null, audio: { codec: 'opus' } })
  const half = await tone('voice')
  expect(half.peak).toBeGreaterThan(0.22)
  expect(half.peak).toBeLessThan(0.28)

  const [louder] = await askParams(page, '{"gain":1}')
  expect(louder).toMatchObject({ status: 200, params: { gain: 1 } })
  expect((await tone('voice')).peak).toBeGreaterThan(0.45)

  const viewer = await joinWithChannels(browser, stage.url, '/whep/voice', [], {
    // What is not played is not decoded either.
    add: `
      const player = Object.assign(new Audio(), { autoplay: true, srcObject: new MediaStream() })
      peer.ontrack = ({ track }) => player.srcObject.addTrack(track)
      for (const kind of ['audio', 'video']) peer.addTransceiver(kind, { direction: 'recvonly' })`,
  })
  const heard = () =>
    viewer.evaluate<number>(`peer.getStats().then((all) =>
      [...all.values()].find(({ type, kind }) => type === 'inbound-rtp' && kind === 'audio')?.totalAudioEnergy ?? 0)`)
  await waitFor('what a viewer hears', async () => (await heard()) > 0.1)
  await viewer.close()

  const swap = (to: string) =>
    httpJson<{ detail: string }>('PUT', `${stage.url}/streams/voice/pipeline`, { body: { pipeline: to } })
  expect((await swap('meter')).status).toBe(200)
  await using lines = await record(`${stage.url}/out/voice.jsonl`)
  await waitFor('levels', () => /"peakDb":-6/.test(lines.bytes().toString()))
  await page.close()
  await http('DELETE', `${stage.url}/streams/voice`)
})

it('others refuse one, and nothing of it is left', async () => {
  for (const pipeline of ['noop', 'noop,gain']) {
    await expect(publish(`/whip/refused?pipeline=${pipeline}`)).rejects.toThrow(/no video section/)
    expect((await http('GET', `${stage.url}/streams/refused`)).status).toBe(404)
  }
})
