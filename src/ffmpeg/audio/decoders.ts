import { opusHead } from '../../codec/audio/opus-ts.ts'
import type { AudioCodec, AudioTrack } from '../../core/media/packet.ts'
import type { AudioCoderOptions } from './coder.ts'

/** Needed where the codec's name in the file is ambiguous. */
const DECODER: Record<AudioCodec, string[]> = {
  opus: [],
  aac: [],
  mp3: [],
  aac_latm: ['-c:a', 'aac_latm'],
  ac3: ['-c:a', 'ac3'],
  eac3: ['-c:a', 'eac3'],
}

/** The arguments with which ffmpeg reads packets of this track. */
export function decoderOf({ codec, sampleRate, channels }: AudioTrack): Pick<AudioCoderOptions, 'spec' | 'input'> {
  const extradata = codec === 'opus' ? opusHead(channels) : undefined
  return {
    spec: { kind: 'audio', codec, sampleRate, channels, ...(extradata && { extradata }) },
    input: DECODER[codec],
  }
}
