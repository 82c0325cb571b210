import { type Colour, DEFAULT_COLOUR } from '../../core/media/colour.ts'
import type { PixelFormat } from '../../core/media/frame.ts'
import type { Ffmpeg, VideoEncoderName } from '../binary.ts'

export type EncoderShape = {
  format: PixelFormat
  /** In pixels. */
  width: number
  /** In pixels. */
  height: number
  bitrateKbps: number
  /** Frames per second, about. */
  fps: number
  /** Of `yuv420p` frames. */
  colour?: Colour
  /** Size of the frames that come out, even; that of the frames unless told. One row or column less is cut off. */
  scaledTo?: { width: number; height: number }
}

/** What one encoder needs on ffmpeg's command line. */
export type EncoderArgs = {
  /** Before the input. */
  input: string[]
  /** Filters, in order; what the frames come as is known from the input. */
  filters: string[]
  /** After the input. */
  output: string[]
}

// Keyframes come when they are asked for, so there is no longest distance between them.
const NEVER = '100000'

/** Low delay, no B-frames, constrained baseline, parameter sets in front of each keyframe. */
export function encoderArgs({ version, videoEncoder }: Ffmpeg, shape: EncoderShape): EncoderArgs {
  const { input, filters, output } = ENCODERS[videoEncoder](shape, version.major)
  const rate = shape.bitrateKbps
  const rates = ['-b:v', `${rate}k`, '-maxrate', `${rate}k`, '-bufsize', `${Math.ceil(rate / 5)}k`]
  const level = ['-level:v', h264Level({ ...shape, ...shape.scaledTo })]
  return {
    input,
    filters: [...scaleFilter(shape), ...filters],
    output: ['-c:v', videoEncoder, ...output, ...level, ...rates, '-g', NEVER, '-bf', '0'],
  }
}

/** One pass for the size and the colours. An odd last row or column is cut off: scaling would blur all the others. */
function scaleFilter({ format, width, height, scaledTo }: EncoderShape): string[] {
  const cut = (from: number, to: number) => from === to || (from % 2 === 1 && from - to === 1)
  const cropped = scaledTo && cut(width, scaledTo.width) && cut(height, scaledTo.height)
  const crop = cropped ? [`crop=${scaledTo.width}:${scaledTo.height}:0:0`] : []
  const size = scaledTo && !cropped ? [`${scaledTo.width}:${scaledTo.height}:flags=bilinear`] : []
  // Said, not left to defaults, which differ between versions.
  const colours = format === 'yuv420p' ? [] : ['out_color_matrix=bt601:out_range=tv']
  const options = [...size, ...colours]
  return options.length > 0 ? [...crop, `scale=${options.join(':')}`] : crop
}

const ENCODERS: Record<VideoEncoderName, (shape: EncoderShape, ffmpegMajor: number) => EncoderArgs> = {
  libx264: (shape) => ({
    input: [],
    filters: ['format=yuv420p'],
    output: [
      ...['-preset', 'ultrafast', '-tune', 'zerolatency', '-profile:v', 'baseline', '-threads', '1'],
      ...['-sc_threshold', '0', '-bsf:v', 'dump_extra=freq=keyframe'],
      // ffmpeg 4 would take the time base for the rate. Real durations (force-cfr=0) would hold each frame back by one.
      ...['-x264-params', `fps=${Math.round(shape.fps * 1000)}/1000:${x264Colour(shape)}`],
    ],
  }),
  h264_nvenc: (shape, ffmpegMajor) => ({
    input: [],
    filters: ['format=yuv420p'],
    output: [
      // The preset names of today came with ffmpeg 4.4.
      ...(ffmpegMajor >= 5 ? ['-preset', 'p4', '-tune', 'ull'] : ['-preset', 'llhq']),
      ...['-profile:v', 'baseline', '-rc', 'cbr', '-zerolatency', '1', '-delay', '0', '-rc-lookahead', '0'],
      ...['-no-scenecut', '1', '-forced-idr', '1', '-bsf:v', `${colourFilter(shape)},dump_extra=freq=keyframe`],
    ],
  }),
  h264_vaapi: (shape, ffmpegMajor) => ({
    input: ['-vaapi_device', '/dev/dri/renderD128'],
    filters: ['format=nv12', 'hwupload'],
    output: [
      ...['-profile:v', 'constrained_baseline', '-rc_mode', 'CBR'],
      ...(ffmpegMajor >= 5 ? ['-async_depth', '1'] : []),
      ...['-bsf:v', `${colourFilter(shape)},dump_extra=freq=keyframe`],
    ],
  }),
}

/** Names that x264 has for the code points in use; it leaves out what it is told to leave undefined. */
const X264_PRIMARIES: Record<number, string> = { 1: 'bt709', 5: 'bt470bg', 6: 'smpte170m', 9: 'bt2020' }
const X264_TRANSFERS: Record<number, string> = { 1: 'bt709', 6: 'smpte170m', 13: 'iec61966-2-1', 14: 'bt2020-10' }
const X264_MATRICES: Record<number, string> = { 1: 'bt709', 5: 'bt470bg', 6: 'smpte170m', 9: 'bt2020nc' }

function x264Colour(shape: EncoderShape): string {
  const { primaries, transfer, matrix, fullRange } = colourOf(shape)
  const names = [X264_PRIMARIES[primaries], X264_TRANSFERS[transfer], X264_MATRICES[matrix]].map(
    (name) => name ?? 'undef',
  )
  return `colorprim=${names[0]}:transfer=${names[1]}:colormatrix=${names[2]}:range=${fullRange ? 'pc' : 'tv'}`
}

function colourFilter(shape: EncoderShape): string {
  const { primaries, transfer, matrix, fullRange } = colourOf(shape)
  const points = `colour_primaries=${primaries}:transfer_characteristics=${transfer}:matrix_coefficients=${matrix}`
  return `h264_metadata=${points}:video_full_range_flag=${fullRange ? 1 : 0}`
}

function colourOf({ format, colour }: EncoderShape): Colour {
  return format === 'yuv420p' ? (colour ?? DEFAULT_COLOUR) : DEFAULT_COLOUR
}

/** ITU-T H.264 table A-1: level, macroblocks a frame, macroblocks a second, and kbit/s in the baseline profile. */
const LEVELS = [
  ['1.3', 396, 11_880, 768],
  ['2.1', 792, 19_800, 4000],
  ['3.0', 1620, 40_500, 10_000],
  ['3.1', 3600, 108_000, 14_000],
  ['3.2', 5120, 216_000, 20_000],
  ['4.0', 8192, 245_760, 20_000],
  ['4.2', 8704, 522_240, 50_000],
  ['5.1', 36_864, 983_040, 240_000],
] as const

/** The lowest level that holds the stream. */
export function h264Level({ width, height, fps, bitrateKbps }: Omit<EncoderShape, 'format'>): string {
  const blocks = Math.ceil(width / 16) * Math.ceil(height / 16)
  const fits = LEVELS.find(
    ([, size, rate, kbps]) => blocks <= size && blocks * fps <= rate && bitrateKbps <= kbps && blocks <= size,
  )
  return fits?.[0] ?? '5.2'
}
