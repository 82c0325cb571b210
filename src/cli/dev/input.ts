import { AppError } from '../../core/errors.ts'
import { type Context, type Resource, Scope, sleep } from '../../core/resource.ts'
import { openHttpPublisher } from '../../ffmpeg/http-publisher.ts'
import type { Ffmpeg } from '../../ffmpeg/probe.ts'
import { openTestPattern } from '../../ffmpeg/test-pattern.ts'

export type InputOptions = {
  ffmpeg: Pick<Ffmpeg, 'path'>
  /** The absolute path of a file, a URL, or `test`. */
  input: string
  /** URL to publish to. */
  url: string
  authToken: string | undefined
  say(text: string): void
}

const AGAIN_MS = 1000
/** Suitable for the browser's WebRTC and for an author's machine. */
const OUTPUT = [
  ...['-vf', "scale='min(1280,iw)':-2,format=yuv420p"],
  ...['-c:v', 'libx264', '-preset', 'ultrafast', '-tune', 'zerolatency', '-profile:v', 'baseline', '-threads', '1'],
  ...['-b:v', '4000k', '-maxrate', '4000k', '-bufsize', '2000k', '-g', '30', '-c:a', 'aac', '-b:a', '128k', '-ac', '2'],
  ...['-muxdelay', '0', '-muxpreload', '0', '-pes_payload_size', '0', '-flush_packets', '1', '-f', 'mpegts'],
]

/** Publishes repeatedly, whenever it ends, until it is closed. */
export function keepPublishing(options: InputOptions, context: Context): Resource {
  const { ffmpeg, input, url, authToken, say } = options
  const scope = new Scope(context.signal)
  const headers: Record<string, string> = authToken ? { authorization: `Bearer ${authToken}` } : {}
  scope.spawn(async (signal) => {
    let last = ''
    for (;;) {
      const within = { ...context, signal }
      const publisher = await (input === 'test'
        ? openTestPattern({ ffmpeg, url, headers }, within)
        : openHttpPublisher({ name: 'input', ffmpeg, args: [...inputArgs(input), ...OUTPUT], url, headers }, within))
      const { error = new AppError('ffmpeg-failed', 'the input ended') } = await publisher.closed
      if (signal.aborted) return { why: 'stopped' }
      if (error.message !== last) say(`  ${error.message}; retrying`)
      last = error.message
      await sleep(AGAIN_MS, signal)
    }
  })
  return scope
}

function inputArgs(input: string): string[] {
  if (!/^[a-z]+:\/\//i.test(input)) return ['-re', '-stream_loop', '-1', '-i', input]
  return /^https?:/i.test(input) ? ['-re', '-i', input] : ['-i', input]
}
