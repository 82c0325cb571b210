import { ffmpegPath, ffprobePath } from '../binaries.ts'
import { readMarker } from '../marker.ts'
import { runTool } from '../run-tool.ts'

/** A file, a URL, or the bytes themselves. */
export type MediaInput = string | Uint8Array

export type ProbedPacket = {
  /** In 90 kHz ticks, as stored (not unwrapped). */
  pts: number
  dts: number
  key: boolean
  /** In bytes. */
  size: number
}

export type ProbedStream = {
  kind: 'video' | 'audio'
  codec: string
  width?: number
  height?: number
  sampleRate?: number
  packets: ProbedPacket[]
}

export type NumberedFrame = {
  /** In 90 kHz ticks, as stored. */
  pts: number
  /** Read from the frame; undefined if it has none. */
  number: number | undefined
}

export type DecodeOptions = {
  /** Stops after this many frames; required for an endless URL. */
  frames?: number
  /** Killed after this long; default 60 s. */
  limitMs?: number
}

const source = (input: MediaInput): string => (typeof input === 'string' ? input : 'pipe:0')
const bytes = (input: MediaInput) => (typeof input === 'string' ? {} : { input })

/** ffprobe's description of each stream and packet. */
export async function probePackets(input: MediaInput): Promise<ProbedStream[]> {
  const entries =
    'packet=stream_index,pts,dts,flags,size:stream=index,codec_type,codec_name,width,height,sample_rate,time_base'
  const args = ['-v', 'error', '-show_entries', entries, '-of', 'json', source(input)]
  const [json] = await runTool(ffprobePath(), args, bytes(input))
  const probed = JSON.parse(String(json)) as {
    streams: {
      index: number
      codec_type: 'video' | 'audio'
      codec_name: string
      width?: number
      height?: number
      sample_rate?: string
      time_base: string
    }[]
    packets?: { stream_index: number; pts: number; dts: number; flags: string; size: string }[]
  }
  return probed.streams.map((stream) => {
    const [numerator = 1, denominator = 90_000] = stream.time_base.split('/').map(Number)
    const ticks = (value: number) => Math.round((value * 90_000 * numerator) / denominator)
    return {
      kind: stream.codec_type,
      codec: stream.codec_name,
      ...(stream.width && { width: stream.width }),
      ...(stream.height && { height: stream.height }),
      ...(stream.sample_rate && { sampleRate: Number(stream.sample_rate) }),
      packets: (probed.packets ?? [])
        .filter((packet) => packet.stream_index === stream.index)
        .map((packet) => ({
          pts: ticks(packet.pts),
          dts: ticks(packet.dts),
          key: packet.flags.startsWith('K'),
          size: Number(packet.size),
        })),
    }
  })
}

/** Frames are scaled to this size for the marker's strip: a block is then 20 x 20. */
const READ = { width: 360, height: 240, strip: 40 }

/** Decodes the video and reads each frame's number, in presentation order. */
export async function decodeNumbers(input: MediaInput, options: DecodeOptions = {}): Promise<NumberedFrame[]> {
  const filter = `crop=iw:trunc(ih/6):0:0,scale=${READ.width}:${READ.strip}:flags=area,format=gray`
  const { frames } = await decodeGray(input, filter, READ.width * READ.strip, options)
  return frames.map(({ pts, luma }) => ({ pts, number: readMarker(luma, READ.width, READ.height) }))
}

export type GrayFrame = { pts: number; luma: Uint8Array }
export type SoundPiece = {
  /** Time of its first sample in 90 kHz ticks. */
  pts: number
  /** One channel, 48 kHz. */
  samples: Int16Array
}

/** Decodes the video to grey frames through `filter`, whose output has `frameBytes`; with their time stamps. */
export async function decodeGray(
  input: MediaInput,
  filter: string,
  frameBytes: number,
  options: DecodeOptions = {},
): Promise<{ frames: GrayFrame[] }> {
  const exact = ['-map', '0:v:0', '-vf', filter, '-vsync', 'passthrough', '-enc_time_base', '1:90000']
  const some = options.frames ? ['-frames:v', String(options.frames)] : []
  const [raw = Buffer.alloc(0), list = Buffer.alloc(0)] = await runTool(
    ffmpegPath(),
    [
      ...['-v', 'error', '-copyts', '-i', source(input)],
      ...[...exact, ...some, '-c:v', 'rawvideo', '-f', 'rawvideo', 'pipe:1'],
      ...[...exact, ...some, '-c:v', 'rawvideo', '-f', 'framecrc', 'pipe:3'],
    ],
    { ...bytes(input), extraOutputs: 1, ...(options.limitMs && { limitMs: options.limitMs }) },
  )
  const frames = listed(list).map(({ pts }, index) => ({
    pts,
    luma: raw.subarray(index * frameBytes, (index + 1) * frameBytes),
  }))
  return { frames: frames.filter((frame) => frame.luma.length === frameBytes) }
}

/** Decodes the audio to 48 kHz mono pieces with their time stamps. */
export async function decodeAudio(input: MediaInput): Promise<SoundPiece[]> {
  const exact = ['-map', '0:a:0', '-ac', '1', '-ar', '48000', '-c:a', 'pcm_s16le']
  const [raw = Buffer.alloc(0), list = Buffer.alloc(0)] = await runTool(
    ffmpegPath(),
    [
      ...['-v', 'error', '-copyts', '-i', source(input)],
      ...[...exact, '-f', 's16le', 'pipe:1'],
      ...[...exact, '-enc_time_base', '1:90000', '-f', 'framecrc', 'pipe:3'],
    ],
    { ...bytes(input), extraOutputs: 1 },
  )
  let at = 0
  return listed(list).map(({ pts, size }) => {
    const piece = Buffer.from(raw.subarray(at, at + size))
    at += size
    return { pts, samples: new Int16Array(piece.buffer, piece.byteOffset, piece.length >> 1) }
  })
}

/** Parses ffmpeg's framecrc: stream, dts, pts, duration, size, checksum; the time base is in a comment above them. */
function listed(list: Buffer): { pts: number; size: number }[] {
  const text = String(list)
  const [, numerator, denominator] = /#tb 0: (\d+)\/(\d+)/.exec(text) ?? [undefined, '1', '90000']
  return text
    .split('\n')
    .filter((line) => line && !line.startsWith('#'))
    .map((line) => line.split(',').map((field) => field.trim()))
    .map(([, , pts, , size]) => ({
      pts: Math.round((Number(pts) * Number(numerator) * 90_000) / Number(denominator)),
      size: Number(size),
    }))
}
