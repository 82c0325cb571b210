import { type AudioFrame, PCM_RATE, samplesIn, ticksIn } from '../../core/media/audio.ts'
import { audioOf, type PipelineClass } from '../pipeline-class.ts'

export type TestAudioOptions = {
  /** In hertz; default 1000. */
  frequency?: number
  /** Peak level, from 0 to 1; default 0.5. */
  level?: number
  /** Frame length in milliseconds, 10 or 20; default 20. */
  frameMs?: number
  /** 1 or 2; default 2. */
  channels?: number
  /** Time of the first frame in 90 kHz ticks; default 0. */
  pts?: number
}

/** A steady tone in consecutive frames without gaps; equal options give equal samples. */
export function testAudio(frames: number, options: TestAudioOptions = {}): AudioFrame[] {
  const { frequency = 1000, level = 0.5, frameMs = 20, channels = 2, pts = 0 } = options
  const samples = samplesIn(frameMs)
  return Array.from({ length: frames }, (_, frame) => {
    const data = new Float32Array(samples * channels)
    for (let i = 0; i < samples; i++) {
      const sample = level * Math.sin((2 * Math.PI * frequency * (frame * samples + i)) / PCM_RATE)
      data.fill(sample, i * channels, (i + 1) * channels)
    }
    return { data, sampleRate: PCM_RATE, channels, pts: pts + frame * ticksIn(samples) }
  })
}

/** The same in the form that the pipeline asks for; empty if it takes no audio. */
export function testAudioFor(author: PipelineClass, frames: number, options: TestAudioOptions = {}): AudioFrame[] {
  const spec = audioOf(author)
  if (!spec || spec.mode === 'give') return []
  return testAudio(frames, { frameMs: spec.frameMs, channels: spec.channels, ...options })
}
