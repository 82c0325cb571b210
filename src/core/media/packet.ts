export const VIDEO_CODECS = ['h264', 'hevc', 'vp8', 'vp9', 'av1'] as const
export const AUDIO_CODECS = ['opus', 'aac', 'mp3', 'ac3', 'eac3', 'aac_latm'] as const
/** Codecs for viewers: H.264, and VP8 for those without it. */
export const VIEWER_CODECS = ['h264', 'vp8'] as const
export type ViewerCodec = (typeof VIEWER_CODECS)[number]
export type VideoCodec = (typeof VIDEO_CODECS)[number]
export type AudioCodec = (typeof AUDIO_CODECS)[number]

type TrackBase = {
  /** Unique within its stream. */
  id: string
}

export type VideoTrack = TrackBase & {
  kind: 'video'
  codec: VideoCodec
  /** In pixels, as coded in the bitstream after cropping; undefined until the first keyframe. */
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
 * One access unit. H.264 and HEVC are Annex B with parameter sets before each keyframe; AV1 is a temporal unit with
 * sizes; AAC is one ADTS or LOAS frame; Opus is one packet without framing.
 */
export type EncodedPacket<T extends Track = Track> = {
  track: T
  data: Uint8Array
  /** Presentation time in 90 kHz ticks, unwrapped. */
  pts: number
  /** Decoding time in 90 kHz ticks; undefined if equal to `pts`. */
  dts?: number
  /** Whether decoding can begin here. Always true for audio. */
  key: boolean
}
