import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { copyFileSync, linkSync, rmSync } from 'node:fs'
import { extname, join } from 'node:path'
import { TailBuffer } from '../../../src/core/child.ts'
import { chromaSize } from '../../../src/core/media/frame.ts'
import { ffmpegPath } from '../binaries.ts'
import { drawMarker, MARKER_STRIP } from '../marker.ts'
import { keptFolder, makeOnce } from '../package/kept.ts'

export type ClipOptions = {
  /** With the extension .ts, .mp4 or .mkv. */
  file: string
  seconds: number
  /** In pixels. */
  width: number
  height: number
  fps: number
  /** B-frames between two others; default 0. */
  bframes?: number
  /** Frames from one keyframe to the next; default: two seconds. */
  gop?: number
  /** A 440 Hz tone; or each second a white flash of 0.1 s and a simultaneous 1 kHz beep. */
  audio?: boolean | 'flash-beep'
  codec?: 'h264' | 'hevc'
  /** Default AAC. */
  audioCodec?: 'aac' | 'libopus' | 'mp3'
  /** Irregular frame intervals; see `numberedPts`. */
  vfr?: boolean
  /** Default 2000. */
  kbps?: number
}

/** A shared clip for tests that need any, longer than each of them runs. */
export const LONG_CLIP = { seconds: 120, width: 320, height: 180, fps: 30, kbps: 300 } as const
export const LARGE_CLIP = { seconds: 120, width: 640, height: 360, fps: 30, kbps: 500 } as const

/** Length of a flash and of its beep. */
const FLASH_SECONDS = 0.1

/** Incremented whenever the frames change, so that cached clips are not reused. */
const EDITION = 4

/** Time of frame `number` in 90 kHz ticks from the clip's first frame. */
export function numberedPts(number: number, options: { fps: number; vfr?: boolean }): number {
  const regular = Math.round((number * 90_000) / options.fps)
  if (!options.vfr) return regular
  // Up to 0.6 of a frame late, in a pseudo-random order; the first frame is on time.
  return regular + Math.floor((((number * 7) % 13) * 54_000) / 13 / options.fps)
}

/**
 * Makes a clip of `seconds * fps` frames numbered from 0. Clips are cached in the system's temporary folder by their
 * options.
 */
export async function makeNumberedClip(options: ClipOptions): Promise<void> {
  const { file, ...shape } = options
  if (options.audio === 'flash-beep' && (options.vfr || !Number.isInteger(options.fps))) {
    throw new Error('a flash begins on the second only with a whole and constant frame rate')
  }
  const key = createHash('sha256')
    .update(JSON.stringify([EDITION, shape]))
    .digest('hex')
    .slice(0, 16)
  const kept = join(keptFolder('millrace-test-clips'), `${key}${extname(file)}`)
  await makeOnce(kept, (part) => encode({ ...options, file: part }))
  rmSync(file, { force: true })
  try {
    linkSync(kept, file)
  } catch {
    // On another file system.
    copyFileSync(kept, file)
  }
}

async function encode(options: ClipOptions): Promise<void> {
  const child = spawn(ffmpegPath(), encodeArgs(options), { stdio: ['pipe', 'ignore', 'pipe'] })
  const tail = new TailBuffer(20)
  child.stderr.setEncoding('utf8').on('data', (chunk) => tail.push(chunk))
  const exited = new Promise<number | null>((resolve, reject) => {
    child.once('close', resolve)
    child.once('error', reject)
  })
  // The exit says more than the broken pipe that it causes.
  child.stdin.on('error', () => {})
  for (const frame of frames(options)) {
    const room = child.stdin.write(frame) || once(child.stdin, 'drain')
    await Promise.race([room, exited]).catch(() => {})
    if (child.exitCode !== null || child.stdin.destroyed) break
  }
  child.stdin.end()
  const code = await exited
  if (code !== 0) throw new Error(`ffmpeg could not make the clip (exit code ${code}): ${tail.lines.join(' | ')}`)
}

function encodeArgs(options: ClipOptions): string[] {
  const { width, height, fps, seconds, bframes = 0, gop = Math.round(fps * 2), kbps = 2000 } = options
  const args = ['-hide_banner', '-loglevel', 'error', '-y']
  args.push('-f', 'rawvideo', '-pix_fmt', 'yuv420p', '-s', `${width}x${height}`, '-r', String(fps), '-i', 'pipe:0')
  if (options.audio) args.push('-f', 'lavfi', '-i', `aevalsrc='${audio(options.audio)}':s=48000:d=${seconds}`)
  if (options.vfr) {
    // The arithmetic of numberedPts as an ffmpeg expression.
    const late = `floor(mod(N*7\\,13)*54000/13/${fps})`
    args.push('-vf', `settb=1/90000,setpts=round(N*90000/${fps})+${late}`)
    args.push('-vsync', 'passthrough', '-enc_time_base', '1:90000', '-video_track_timescale', '90000')
  }
  if (options.codec === 'hevc') {
    args.push('-c:v', 'libx265', '-preset', 'ultrafast', '-tag:v', 'hvc1')
    args.push('-x265-params', `log-level=error:bframes=${bframes}:keyint=${gop}:scenecut=0`)
  } else {
    args.push('-c:v', 'libx264', '-preset', 'ultrafast', '-bf', String(bframes), '-g', String(gop))
    args.push('-sc_threshold', '0', '-profile:v', 'main')
  }
  args.push('-pix_fmt', 'yuv420p', '-b:v', `${kbps}k`, '-maxrate', `${kbps}k`, '-bufsize', `${kbps}k`)
  if (options.audio) args.push('-c:a', options.audioCodec ?? 'aac', '-b:a', '96k', '-ac', '2')
  return [...args, options.file]
}

function audio(kind: true | 'flash-beep'): string {
  if (kind === true) return '0.2*sin(2*PI*440*t)'
  return `if(lt(mod(t,1),${FLASH_SECONDS}),0.7*sin(2*PI*1000*t),0)`
}

/** Yields buffers with the next frame: a drifting background with the number on top. */
function* frames(options: ClipOptions): Generator<Buffer> {
  const { width, height, fps, seconds } = options
  const slack = 128
  const scene = paintScene(width + slack, height + slack, 1)
  const chroma = paintScene(chromaSize(width) + slack, chromaSize(height) + slack, 0.4)
  const chromaBytes = chromaSize(width) * chromaSize(height)
  const count = Math.round(seconds * fps)
  for (let number = 0; number < count; number++) {
    // A new buffer, because the pipe may still hold the previous one.
    const data = Buffer.allocUnsafe(width * height + 2 * chromaBytes)
    const seconds = number / fps
    const dx = Math.round((Math.sin(seconds * 0.9) + 1) * (slack / 2 - 1))
    const dy = Math.round((Math.cos(seconds * 0.7) + 1) * (slack / 2 - 1))
    copyPart(scene, width + slack, dx, dy, data.subarray(0, width * height), width)
    const u = data.subarray(width * height, width * height + chromaBytes)
    const v = data.subarray(width * height + chromaBytes)
    copyPart(chroma, chromaSize(width) + slack, dy, dx, u, chromaSize(width))
    copyPart(chroma, chromaSize(width) + slack, slack - dx, dy, v, chromaSize(width))
    const stripRows = Math.floor(height * MARKER_STRIP)
    for (const plane of [u, v]) plane.fill(128, 0, chromaSize(width) * Math.ceil(stripRows / 2))
    if (options.audio === 'flash-beep') {
      const flash = (number % fps) / fps < FLASH_SECONDS
      data.fill(flash ? 235 : 40, stripRows * width, width * height)
      data.fill(128, width * height)
    }
    drawMarker(data, width, height, number)
    yield data
  }
}

function copyPart(from: Uint8Array, fromWidth: number, dx: number, dy: number, to: Uint8Array, width: number): void {
  for (let row = 0; row * width < to.length; row++) {
    const at = (row + dy) * fromWidth + dx
    to.set(from.subarray(at, at + width), row * width)
  }
}

/** Soft waves with some edges: neither flat nor noise, so that an encoder has realistic work. */
function paintScene(width: number, height: number, contrast: number): Uint8Array {
  const scene = new Uint8Array(width * height)
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const wave = Math.sin(x / 37) * Math.cos(y / 23) + Math.sin((x + 2 * y) / 91)
      const block = ((x >> 6) + (y >> 6)) & 1 ? 14 : -14
      scene[y * width + x] = 128 + (wave * 34 + block) * contrast
    }
  }
  return scene
}
