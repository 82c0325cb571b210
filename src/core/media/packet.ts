export const VIDEO_CODECS = ['h264', 'hevc', 'vp8'] as const
export const AUDIO_CODECS = ['opus', 'aac', 'mp3'] as const
export type VideoCodec = (typeof VIDEO_CODECS)[number]
export type AudioCodec = (typeof AUDIO_CODECS)[number]

type TrackBase = {
  /** Unique within its stream. */
  id: string
}

export type VideoTrack = TrackBase & {
  kind: 'video'
  codec: VideoCodec
  /** In pixels, as coded in the bitstream after cropping; absent until the first keyframe told. */
  width?: number
  height?: number
}

export type AudioTrack = TrackBase & {
  kind: 'audio'
  codec: AudioCodec
  /** Samples per second; Opus is always 48000. */
  sampleRate: number
  channels: number
}

export type Track = VideoTrack | AudioTrack

/**
 * One access unit. H.264 and HEVC are Annex B with parameter sets in front of each keyframe; AAC is one ADTS frame;
 * Opus is one packet without framing.
 */
export type EncodedPacket<T extends Track = Track> = {
  track: T
  data: Uint8Array
  /** Presentation time in 90 kHz ticks, unwrapped. */
  pts: number
  /** Decoding time in 90 kHz ticks; absent when equal to `pts`. */
  dts?: number
  /** True when decoding can begin here. Always true for audio. */
  key: boolean
}
