/** The video encoders the server knows how to drive, best first. */
export const VIDEO_ENCODERS = ['h264_nvenc', 'h264_vaapi', 'libx264'] as const
export type VideoEncoderName = (typeof VIDEO_ENCODERS)[number]

/** An ffmpeg that was found and tried. */
export type Ffmpeg = {
  /** Absolute path of the program. */
  path: string
  /** `text` as the program prints it; development builds get the numbers of the release they belong to. */
  version: { major: number; minor: number; text: string }
  /** Names of all encoders compiled in. */
  encoders: ReadonlySet<string>
  /** The H.264 encoder that works here. */
  videoEncoder: VideoEncoderName
}

/** Keeps frames as they come, each with its own stamp; the option's name changed with ffmpeg 5.1. */
export function passFrames({ version }: Pick<Ffmpeg, 'version'>): string[] {
  const renamed = version.major > 5 || (version.major === 5 && version.minor >= 1)
  return [renamed ? '-fps_mode' : '-vsync', 'passthrough']
}

/** NUT from our pipe, read without looking ahead. */
export const NUT_INPUT = ['-protocol_whitelist', 'pipe', '-probesize', '32', '-analyzeduration', '0', '-f', 'nut']

/** NUT to our pipe, each packet at once. Without the index nothing is kept in memory for it. */
export const NUT_OUTPUT = ['-flush_packets', '1', '-write_index', '0', '-f', 'nut']
