import { AppError } from '../../../core/errors.ts'
import type { AudioFrame } from '../../../core/media/audio.ts'
import type { Description } from '../../protocol.ts'
import type { PipelineLease } from '../lease/lease.ts'

type Audio = NonNullable<Description['audio']>
type Described = { key: string; audio: Description['audio'] }

/**
 * A chain takes audio like the stage that does most. @throws AppError `invalid-request` if its stages want frames of
 * different forms.
 */
export function chainAudio(stages: readonly Described[]): Description['audio'] {
  const taking = stages.filter(({ audio }) => audio)
  const [first, ...others] = taking.filter(({ audio }) => audio!.mode !== 'give')
  for (const { key, audio } of others) {
    const { frameMs, channels } = first!.audio!
    if (audio!.frameMs === frameMs && audio!.channels === channels) continue
    throw new AppError(
      'invalid-request',
      `${key} wants audio in frames of ${audio!.frameMs} ms with ${audio!.channels} channels, and ${first!.key} of ${frameMs} ms with ${channels}: in a chain all want the same`,
    )
  }
  const modes = taking.map(({ audio }) => audio!.mode)
  const mode = (['process', 'give', 'listen'] as const).find((one) => modes.includes(one))
  return mode && { ...(first ?? taking[0])!.audio!, mode }
}

/**
 * Passes audio through the stages of a chain that process it, one after the other; stages that listen get a copy of
 * what passes.
 */
export class ChainAudio {
  readonly audio: Audio | undefined
  readonly #stages: readonly PipelineLease[]
  readonly #out: (frame: AudioFrame) => void

  constructor(stages: readonly { key: string; lease: PipelineLease }[], out: (frame: AudioFrame) => void) {
    this.audio = chainAudio(stages.map(({ key, lease }) => ({ key, audio: lease.audio })))
    this.#stages = stages.map(({ lease }) => lease)
    this.#out = out
  }

  /** Whether a stage would take audio now. */
  get ready(): boolean {
    const wanted = this.audio?.mode
    return this.#stages.some(({ audio, audioReady }) => audioReady && audio?.mode === wanted)
  }

  /** False if no stage could take it. */
  offer(frame: AudioFrame): boolean {
    return this.#pass(frame, 0) !== 'untouched'
  }

  /** Takes the output of the stage at index `at`. */
  output(frame: AudioFrame, at: number): void {
    if (this.#pass(frame, at + 1) !== 'taken') this.#out(frame)
  }

  #pass(frame: AudioFrame, from: number): 'taken' | 'heard' | 'untouched' {
    let heard = false
    for (const stage of this.#stages.slice(from)) {
      const mode = stage.audioReady ? stage.audio?.mode : undefined
      if (mode === 'process' && stage.offerAudio(frame)) return 'taken'
      if (mode === 'listen') heard = stage.offerAudio(frame) || heard
    }
    return heard && this.audio?.mode === 'listen' ? 'heard' : 'untouched'
  }
}
