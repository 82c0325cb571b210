import { type AudioForm, type AudioFrame, inStereo, PCM_RATE } from '../../core/media/audio.ts'
import type { AudioTrack, EncodedPacket } from '../../core/media/packet.ts'
import type { Context } from '../../core/resource.ts'
import type { Ffmpeg } from '../binary.ts'
import { type AudioCoder, openAudioCoder, type Timed } from './coder.ts'
import { decoderOf } from './decoders.ts'
import { OPUS, opusTrack } from './opus.ts'

/** Ten seconds of PCM. */
const BACKLOG_BYTES = 4 * 1024 * 1024

/** PCM for a coder: little-endian 32-bit floats, interleaved. */
export type PcmPacket = Timed & { track: AudioForm<'pcm_f32le'> }

export type PcmDecoderOptions = {
  ffmpeg: Ffmpeg
  /** The input track. */
  track: AudioTrack
  /** 1 or 2; other channel counts are mixed. */
  channels: number
  /** PCM at 48 kHz, in frames as long as the codec's packets. */
  onPcm(frame: AudioFrame): void
}

/** One ffmpeg that decodes audio to PCM. Resolves when it runs. */
export async function openPcmDecoder(options: PcmDecoderOptions, context: Context): Promise<AudioCoder> {
  const { ffmpeg, track, channels, onPcm } = options
  const own = Math.min(channels, track.channels)
  return await openAudioCoder(
    {
      name: 'audio-decoder',
      ffmpeg,
      ...decoderOf(track),
      output: ['-af', mixedTo(own), '-c:a', 'pcm_f32le'],
      onPacket: ({ data, pts }) => {
        const frame = { data: floatsOf(data), sampleRate: PCM_RATE, channels: own, pts } as const
        onPcm(own < channels ? inStereo(frame) : frame)
      },
    },
    context,
  )
}

export type OpusEncoderOptions = {
  ffmpeg: Ffmpeg
  /** 1 or 2. */
  channels: number
  /** `id` of the packets' track. */
  trackId: string
  onPacket(packet: EncodedPacket): void
}

/** One ffmpeg that encodes PCM to Opus packets of 20 ms. Resolves when it runs. */
export async function openOpusEncoder(options: OpusEncoderOptions, context: Context): Promise<AudioCoder> {
  const { ffmpeg, channels, trackId, onPacket } = options
  const track = opusTrack(trackId, channels)
  return await openAudioCoder(
    {
      name: 'audio-encoder',
      ffmpeg,
      spec: { kind: 'audio', codec: 'pcm_f32le', sampleRate: PCM_RATE, channels },
      input: [],
      output: OPUS,
      maxBacklogBytes: BACKLOG_BYTES,
      onPacket: ({ data, pts }) => onPacket({ track, data, pts, key: true }),
    },
    context,
  )
}

/** Mixes so that full scale stays full scale; with floats ffmpeg would exceed it. */
function mixedTo(channels: number): string {
  const layout = channels === 1 ? 'mono' : 'stereo'
  return `aresample=${PCM_RATE}:rematrix_maxval=1.0,aformat=sample_fmts=flt:channel_layouts=${layout}`
}

export function pcmPacket({ data, channels, pts }: AudioFrame): PcmPacket {
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
  return { track: { codec: 'pcm_f32le', sampleRate: PCM_RATE, channels }, data: bytes, pts }
}

/** The bytes as floats; copied if they are not aligned. */
function floatsOf(data: Uint8Array): Float32Array {
  const whole = data.byteLength - (data.byteLength % 4)
  if (data.byteOffset % 4 === 0) return new Float32Array(data.buffer, data.byteOffset, whole / 4)
  return new Float32Array(data.slice(0, whole).buffer)
}
