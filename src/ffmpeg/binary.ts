import type { VideoCodec } from '../core/media/packet.ts'

/** The supported video encoders, best first. */
export const VIDEO_ENCODERS = ['h264_nvenc', 'h264_vaapi', 'libx264'] as const
export type VideoEncoderName = (typeof VIDEO_ENCODERS)[number]

/** An ffmpeg that was found and probed. */
export type FfmpegProgram = {
  /** Absolute path of the program. */
  path: string
  /** `text` as the program prints it; development builds get the numbers of their release. */
  version: { major: number; minor: number; text: string }
  /** Names of all encoders compiled in. */
  encoders: ReadonlySet<string>
  /** Video that it decodes without special hardware. */
  decodes: readonly VideoCodec[]
}

/** An ffmpeg whose encoder was tested. */
export type Ffmpeg = FfmpegProgram & {
  /** The H.264 encoder that works here. */
  videoEncoder: VideoEncoderName
}

/** Keeps every frame with its own time stamp; the option was renamed in ffmpeg 5.1. */
export function passFrames({ version }: FfmpegProgram): string[] {
  const renamed = version.major > 5 || (version.major === 5 && version.minor >= 1)
  return [renamed ? '-fps_mode' : '-vsync', 'passthrough']
}

/** NUT from our pipe, read without probing ahead. */
export const NUT_INPUT = ['-protocol_whitelist', 'pipe', '-probesize', '32', '-analyzeduration', '0', '-f', 'nut']

/** NUT to our pipe, each packet flushed. Without an index, nothing accumulates in memory. */
export const NUT_OUTPUT = ['-flush_packets', '1', '-write_index', '0', '-f', 'nut']

/** Whether frames may change size within a stream; ffmpeg before 4.4 scales all to the first. */
export function followsSizes({ version }: Pick<Ffmpeg, 'version'>): boolean {
  return version.major > 4 || (version.major === 4 && version.minor >= 4)
}
