import type { Context, Resource } from '../core/resource.ts'
import type { Ffmpeg } from './binary.ts'
import { openHttpPublisher } from './http-publisher.ts'

export type TestPatternOptions = {
  ffmpeg: Pick<Ffmpeg, 'path'>
  /** URL for the POST of the endless MPEG-TS, http or https. */
  url: string
  /** In pixels, even; default 1280. */
  width?: number
  /** In pixels, even; default 720. */
  height?: number
  /** Frames per second; default 30. */
  fps?: number
  /** Sent with the request, for example for authorization. */
  headers?: Record<string, string>
  /** Settles when the server accepts the publisher; the body waits for it. */
  accepted?(signal: AbortSignal): Promise<void>
}

/**
 * Publishes moving video with a clock, and a beep and a flash each second, in real time until it is closed. If the
 * server ends it, it closes with `failed` and the server's answer.
 */
export function openTestPattern(options: TestPatternOptions, context: Context): Promise<Resource> {
  return openHttpPublisher({ ...options, name: 'test pattern', args: frame(options) }, context)
}

function frame({ width = 1280, height = 720, fps = 30 }: TestPatternOptions): string[] {
  const first = 'lt(mod(t,1),0.1)'
  const flash = `drawbox=x=iw*0.44:y=ih*0.44:w=iw*0.12:h=ih*0.12:color=white:t=fill:enable='${first}'`
  const beep = `0.2*sin(2*PI*1000*t)*${first}`
  const graph = [
    `testsrc2=size=${width}x${height}:rate=${fps},${flash},format=yuv420p,realtime[v]`,
    `aevalsrc=exprs='${beep}|${beep}':sample_rate=48000:channel_layout=stereo,arealtime[a]`,
  ]
  return [
    ...['-filter_complex', graph.join(';'), '-map', '[v]', '-map', '[a]'],
    ...['-c:v', 'libx264', '-preset', 'ultrafast', '-tune', 'zerolatency', '-profile:v', 'baseline', '-threads', '1'],
    ...['-b:v', '3000k', '-maxrate', '3000k', '-bufsize', '1500k', '-g', String(Math.round(fps))],
    ...['-c:a', 'aac', '-b:a', '128k'],
    ...['-muxdelay', '0', '-muxpreload', '0', '-pes_payload_size', '0', '-flush_packets', '1', '-f', 'mpegts'],
  ]
}
