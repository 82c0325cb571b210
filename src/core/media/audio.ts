import { TICKS_PER_SECOND } from '../clock.ts'

/** Sample rate of all PCM here, which is that of Opus. */
export const PCM_RATE = 48_000

/** Samples per channel in a number of milliseconds. */
export const samplesIn = (ms: number): number => (ms * PCM_RATE) / 1000

/** 90 kHz ticks of a number of samples per channel; whole for multiples of 8 samples. */
export const ticksIn = (samples: number): number => (samples * TICKS_PER_SECOND) / PCM_RATE

/** A few milliseconds of uncompressed audio. A plain value: its holder may keep it. */
export type AudioFrame = {
  /** Samples from -1 to 1, interleaved: left, right, left, right … for two channels. */
  data: Float32Array
  /** Samples per second and channel. */
  sampleRate: typeof PCM_RATE
  /** 1 or 2. */
  channels: number
  /** Presentation time of the first sample in 90 kHz ticks, on the stream's clock, which video shares. */
  pts: number
}

/** Duration in 90 kHz ticks. */
export function audioTicks({ data, channels }: AudioFrame): number {
  return ticksIn(data.length / channels)
}

/** The frame with two channels. */
export function inStereo(frame: AudioFrame): AudioFrame {
  if (frame.channels === 2) return frame
  const data = new Float32Array(frame.data.length * 2)
  for (const [i, sample] of frame.data.entries()) data[2 * i] = data[2 * i + 1] = sample
  return { ...frame, data, channels: 2 }
}

/** What a coder must know about packets or PCM. */
export type AudioForm<Codec extends string = string> = { codec: Codec; sampleRate: number; channels: number }

export function sameAudioForm(a: AudioForm, b: AudioForm): boolean {
  return a.codec === b.codec && a.sampleRate === b.sampleRate && a.channels === b.channels
}
