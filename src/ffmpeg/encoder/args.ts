import { type Colour, DEFAULT_COLOUR } from '../../core/media/colour.ts'
import type { PixelFormat } from '../../core/media/frame.ts'
import type { ViewerCodec } from '../../core/media/packet.ts'
import type { Ffmpeg, VideoEncoderName } from '../binary.ts'
import { fromColours, toColours } from '../colour-options.ts'

export type EncoderShape = {
  format: PixelFormat
  /** In pixels. */
  width: number
  /** In pixels. */
  height: number
  bitrateKbps: number
  /** Approximate frames per second. */
  fps: number
  /** Default: H.264. */
  codec?: ViewerCodec
  /** Colours of `yuv420p` frames; other formats are converted to these. */
  colour?: Colour
  /** Size of the output frames, even; default: that of the frames. One row or column less is cut off. */
  scaledTo?: { width: number; height: number }
}

/** ffmpeg arguments of one encoder. */
export type EncoderArgs = {
  /** Before the input. */
  input: string[]
  /** Filters, in order; the frames' form is known from the input. */
  filters: string[]
  /** After the input. */
  output: string[]
}

// Keyframes come on request only, so there is no maximum distance.
const NEVER = '100000'

/** Low delay, no B-frames, constrained baseline, parameter sets before each keyframe. */
export function encoderArgs(
  { version, videoEncoder }: Pick<Ffmpeg, 'version' | 'videoEncoder'>,
  shape: EncoderShape,
): EncoderArgs {
  if (shape.codec === 'vp8') return vp8Args(shape)
  const { input, filters, output } = ENCODERS[videoEncoder](shape, version.major)
  const rate = shape.bitrateKbps
  const rates = ['-b:v', `${rate}k`, '-maxrate', `${rate}k`, '-bufsize', `${Math.ceil(rate / 5)}k`]
  const level = ['-level:v', h264Level({ ...shape, ...shape.scaledTo })]
  return {
    input,
    filters: [
      ...scaleFilter(shape, shape.format === 'yuv420p' ? [] : toColours(shape.colour ?? DEFAULT_COLOUR)),
      ...filters,
    ],
    output: ['-c:v', videoEncoder, ...output, ...level, ...rates, '-g', NEVER, '-bf', '0'],
  }
}

/** Size and colours in one pass. An odd last row or column is cut off: scaling would blur all the others. */
function scaleFilter({ width, height, scaledTo }: EncoderShape, colours: string[]): string[] {
  const cut = (from: number, to: number) => from === to || (from % 2 === 1 && from - to === 1)
  const cropped = scaledTo && cut(width, scaledTo.width) && cut(height, scaledTo.height)
  const crop = cropped ? [`crop=${scaledTo.width}:${scaledTo.height}:0:0`] : []
  const size = scaledTo && !cropped ? [`${scaledTo.width}:${scaledTo.height}:flags=bilinear`] : []
  const options = [...size, ...colours]
  return options.length > 0 ? [...crop, `scale=${options.join(':')}`] : crop
}

/** One packet per frame: no frame is delayed, hidden or dropped. Speed 16 costs 0.2 dB and 40 % less CPU than 8. */
function vp8Args(shape: EncoderShape): EncoderArgs {
  const rate = `${shape.bitrateKbps}k`
  return {
    input: [],
    filters: [...scaleFilter(shape, toVp8Colour(shape)), 'format=yuv420p'],
    output: [
      ...['-c:v', 'libvpx', '-deadline', 'realtime', '-cpu-used', '16', '-threads', '1'],
      ...['-lag-in-frames', '0', '-auto-alt-ref', '0', '-drop-threshold', '0', '-error-resilient', '0'],
      ...['-b:v', rate, '-minrate', rate, '-maxrate', rate, '-bufsize', `${Math.ceil(shape.bitrateKbps / 5)}k`],
      ...['-g', NEVER],
    ],
  }
}

/** VP8 frames are always BT.601 in limited range (RFC 6386 §9.2). */
function toVp8Colour({ format, colour = DEFAULT_COLOUR }: EncoderShape): string[] {
  if (format !== 'yuv420p') return toColours(DEFAULT_COLOUR)
  const same = toColours(colour).join() === toColours(DEFAULT_COLOUR).join()
  return same ? [] : [...fromColours(colour), ...toColours(DEFAULT_COLOUR)]
}

const ENCODERS: Record<VideoEncoderName, (shape: EncoderShape, ffmpegMajor: number) => EncoderArgs> = {
  libx264: (shape) => ({
    input: [],
    filters: ['format=yuv420p'],
    output: [
      ...['-preset', 'ultrafast', '-tune', 'zerolatency', '-profile:v', 'baseline', '-threads', '1'],
      ...['-sc_threshold', '0', '-bsf:v', 'dump_extra=freq=keyframe'],
      // ffmpeg 4 would take the time base for the rate. Real durations (force-cfr=0) would delay each frame by one.
      ...['-x264-params', `fps=${Math.round(shape.fps * 1000)}/1000:${x264Colour(shape)}`],
    ],
  }),
  h264_nvenc: (shape, ffmpegMajor) => ({
    input: [],
    filters: ['format=yuv420p'],
    output: [
      // The current preset names came with ffmpeg 4.4.
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

/** x264's names of the code points of ITU-T H.273; it leaves undefined ones out. */
const X264_PRIMARIES: Record<number, string> = {
  1: 'bt709',
  4: 'bt470m',
  5: 'bt470bg',
  6: 'smpte170m',
  7: 'smpte240m',
  8: 'film',
  9: 'bt2020',
  10: 'smpte428',
  11: 'smpte431',
  12: 'smpte432',
}
const X264_TRANSFERS: Record<number, string> = {
  1: 'bt709',
  4: 'bt470m',
  5: 'bt470bg',
  6: 'smpte170m',
  7: 'smpte240m',
  8: 'linear',
  11: 'iec61966-2-4',
  13: 'iec61966-2-1',
  14: 'bt2020-10',
  15: 'bt2020-12',
  16: 'smpte2084',
  17: 'smpte428',
  18: 'arib-std-b67',
}
const X264_MATRICES: Record<number, string> = {
  1: 'bt709',
  4: 'fcc',
  5: 'bt470bg',
  6: 'smpte170m',
  7: 'smpte240m',
  9: 'bt2020nc',
}

function x264Colour({ colour = DEFAULT_COLOUR }: EncoderShape): string {
  const { primaries, transfer, matrix, fullRange } = colour
  const names = [X264_PRIMARIES[primaries], X264_TRANSFERS[transfer], X264_MATRICES[matrix]].map(
    (name) => name ?? 'undef',
  )
  return `colorprim=${names[0]}:transfer=${names[1]}:colormatrix=${names[2]}:range=${fullRange ? 'pc' : 'tv'}`
}

function colourFilter({ colour = DEFAULT_COLOUR }: EncoderShape): string {
  const { primaries, transfer, matrix, fullRange } = colour
  const points = `colour_primaries=${primaries}:transfer_characteristics=${transfer}:matrix_coefficients=${matrix}`
  return `h264_metadata=${points}:video_full_range_flag=${fullRange ? 1 : 0}`
}

/** ITU-T H.264 table A-1: level, macroblocks per frame, macroblocks per second, and kbit/s in the baseline profile. */
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

/** The lowest level that permits the stream. */
export function h264Level({ width, height, fps, bitrateKbps }: Omit<EncoderShape, 'format'>): string {
  const blocks = Math.ceil(width / 16) * Math.ceil(height / 16)
  const fits = LEVELS.find(
    ([, size, rate, kbps]) => blocks <= size && blocks * fps <= rate && bitrateKbps <= kbps && blocks <= size,
  )
  return fits?.[0] ?? '5.2'
}
