import type { AppError } from '../../core/errors.ts'
import type { AudioFrame } from '../../core/media/audio.ts'
import type { AudioTrack, EncodedPacket } from '../../core/media/packet.ts'
import type { Context } from '../../core/resource.ts'
import { openOpusEncoder, openPcmDecoder, type PcmPacket } from '../../ffmpeg/audio/pcm.ts'
import { openAudioTranscoder } from '../../ffmpeg/audio/transcoder.ts'
import type { Ffmpeg } from '../../ffmpeg/probe.ts'
import { CoderPath } from './coder-path.ts'

type Life = Context & { signal: AbortSignal }

type PathOptions<Out> = {
  ffmpeg: Ffmpeg
  /** Called in order of time. */
  onPacket(packet: Out): void
  /** The coder failed for the `failures`th time in a row. */
  onFailure(error: AppError, failures: number): void
}

/** `id` of the output track. */
const TRACK_ID = 'audio'

/**
 * Past the pipeline: Opus with one or two channels, which is all that browsers decode, passes unchanged; other audio is
 * transcoded to it.
 */
export function aroundPath({ ffmpeg, ...told }: PathOptions<EncodedPacket>, context: Life) {
  return new CoderPath<EncodedPacket<AudioTrack>, EncodedPacket>(
    {
      ...told,
      pass: (packet) => (packet.track.codec === 'opus' && packet.track.channels <= 2 ? packet : undefined),
      open: (track, onPacket, inside) => openAudioTranscoder({ ffmpeg, track, trackId: TRACK_ID, onPacket }, inside),
    },
    context,
  )
}

/** To a pipeline: PCM at 48 kHz with the given number of channels. */
export function decoderPath(
  { ffmpeg, channels, ...told }: PathOptions<AudioFrame> & { channels: number },
  context: Life,
) {
  return new CoderPath<EncodedPacket<AudioTrack>, AudioFrame>(
    { ...told, open: (track, onPcm, inside) => openPcmDecoder({ ffmpeg, track, channels, onPcm }, inside) },
    context,
  )
}

/** From a pipeline: its output as Opus. */
export function encoderPath({ ffmpeg, ...told }: PathOptions<EncodedPacket>, context: Life) {
  return new CoderPath<PcmPacket, EncodedPacket>(
    {
      ...told,
      open: ({ channels }, onPacket, inside) =>
        openOpusEncoder({ ffmpeg, channels, trackId: TRACK_ID, onPacket }, inside),
    },
    context,
  )
}
