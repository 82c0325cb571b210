import type { AudioTrack, EncodedPacket } from '../../core/media/packet.ts'
import type { Context } from '../../core/resource.ts'
import type { Ffmpeg } from '../binary.ts'
import { type AudioCoder, openAudioCoder } from './coder.ts'
import { decoderOf } from './decoders.ts'
import { OPUS, opusTrack } from './opus.ts'

export type AudioTranscoderOptions = {
  ffmpeg: Ffmpeg
  /** The input track. */
  track: AudioTrack
  /** `id` of the packets' track. */
  trackId: string
  /** Opus, 48 kHz stereo, 20 ms each; `pts` on the input's clock, so that audio stays in place. */
  onPacket: (packet: EncodedPacket) => void
}

/** One ffmpeg that transcodes audio to Opus. Resolves when it runs. */
export async function openAudioTranscoder(options: AudioTranscoderOptions, context: Context): Promise<AudioCoder> {
  const { ffmpeg, track, trackId, onPacket } = options
  const made = opusTrack(trackId, 2)
  return await openAudioCoder(
    {
      name: 'audio',
      ffmpeg,
      ...decoderOf(track),
      output: ['-ac', '2', '-ar', '48000', ...OPUS],
      onPacket: ({ data, pts }) => onPacket({ track: made, data, pts, key: true }),
    },
    context,
  )
}
