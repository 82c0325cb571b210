import { type AudioFrame, PCM_RATE } from '../../core/media/audio.ts'

/** Upper limit of one output; longer audio is several outputs. */
const MAX_SECONDS = 10

/** Output audio, with the request it belongs to. */
export class AudioOutput {
  readonly frame: AudioFrame
  /** The request id of the input; outputs of any other than the current request are discarded. */
  readonly requestId: string

  /** @throws TypeError that says what is wrong if the frame's fields do not fit together. */
  constructor(frame: AudioFrame, requestId: string) {
    const problem = audioProblem(frame)
    if (problem) throw new TypeError(`output audio: ${problem}`)
    this.frame = frame
    this.requestId = requestId
  }
}

/** Why the frame is not valid output audio; undefined if it is valid. */
export function audioProblem(frame: AudioFrame): string | undefined {
  if (!(frame?.data instanceof Float32Array)) return 'data must be a Float32Array'
  const { data, sampleRate, channels, pts } = frame
  if (sampleRate !== PCM_RATE) return `sampleRate must be ${PCM_RATE}, not ${String(sampleRate)}`
  if (channels !== 1 && channels !== 2) return `channels must be 1 or 2, not ${String(channels)}`
  if (!Number.isSafeInteger(pts)) return `pts must be a whole number of 90 kHz ticks, not ${String(pts)}`
  if (data.length === 0 || data.length % channels !== 0)
    return `data has ${data.length} samples, which is no whole number of ${channels} channels, or none`
  const seconds = data.length / channels / PCM_RATE
  if (seconds > MAX_SECONDS) return `data is ${seconds.toFixed(1)} s long; accepted are at most ${MAX_SECONDS}`
  if (data.some((sample) => !Number.isFinite(sample))) return 'data has samples that are no numbers'
  return undefined
}

/** Splits a frame into pieces of at most `samples` samples per channel, each with its `pts`. */
export function* inPieces({ data, channels, pts, sampleRate }: AudioFrame, samples: number): Generator<AudioFrame> {
  for (let at = 0; at < data.length / channels; at += samples) {
    const piece = data.subarray(at * channels, (at + samples) * channels)
    yield { data: piece, channels, sampleRate, pts: pts + Math.round((at * 90_000) / sampleRate) }
  }
}
