import { type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { AppError } from '../core/errors.ts'
import { type Closed, type Context, deadline, type Resource, Scope } from '../core/resource.ts'
import type { Ffmpeg } from './binary.ts'
import { openFfmpeg } from './command.ts'

export type TestPatternOptions = {
  ffmpeg: Ffmpeg
  /** Where to POST the endless MPEG-TS, http or https. */
  url: string
  /** In pixels, even; default 1280. */
  width?: number
  /** In pixels, even; default 720. */
  height?: number
  /** Frames per second; default 30. */
  fps?: number
  /** Sent with the request, as for authorization. */
  headers?: Record<string, string>
}

// More waiting than this means that the server does not read.
const MAX_BACKLOG_BYTES = 8 * 1024 * 1024
const CLOSE_MS = 2000
const MAX_REPLY_BYTES = 64 * 1024

/**
 * Publishes a moving image with a clock, and each second a beep and a flash, in real time until it is closed. It is
 * sent from here, so that no token stands on ffmpeg's command line. Closes with `failed` and what the server answered
 * when the server ends it.
 */
export async function openTestPattern(options: TestPatternOptions, context: Context): Promise<Resource> {
  let request: ClientRequest | undefined
  let tooSlow = () => {}
  const ffmpeg = await openFfmpeg(
    {
      name: 'test pattern',
      path: options.ffmpeg.path,
      output: frame(options),
      sink: {
        push(chunk) {
          if (!request || request.destroyed) return
          request.write(new Uint8Array(chunk))
          if (request.writableLength > MAX_BACKLOG_BYTES) tooSlow()
        },
      },
    },
    context,
  )
  const scope = new Scope(context.signal)
  scope.use(ffmpeg)
  void ffmpeg.closed.then((closed) => scope.end(closed))
  tooSlow = () => {
    const error = new AppError('timeout', 'the server does not take the test pattern', { retryable: true })
    scope.end({ why: 'failed', error })
  }
  request = openRequest(options, scope)
  return scope
}

function openRequest({ url, headers }: TestPatternOptions, scope: Scope): ClientRequest {
  const open = url.startsWith('https:') ? httpsRequest : httpRequest
  const request = open(url, { method: 'POST', headers: { 'content-type': 'video/mp2t', ...headers } })
  request.on('error', (cause) => {
    const error = new AppError('ffmpeg-failed', `the test pattern lost its server: ${cause.message}`, { cause })
    scope.end({ why: 'failed', error })
  })
  request.once('response', (response) => void readReply(response).then((reason) => scope.end(reason)))
  scope.defer(async () => {
    if (request.destroyed) return
    const closed = new Promise<void>((resolve) => request.once('close', resolve))
    request.end()
    await deadline(closed, CLOSE_MS, 'ending the test pattern').catch(() => request.destroy())
  })
  return request
}

async function readReply(response: IncomingMessage): Promise<Closed> {
  const status = response.statusCode ?? 0
  const text = await readText(response)
  if (status < 400) return { why: 'ended' }
  const error = new AppError('ffmpeg-failed', `the server refused the test pattern with status ${status}: ${text}`)
  return { why: 'failed', error }
}

async function readText(response: IncomingMessage): Promise<string> {
  let text = ''
  try {
    for await (const chunk of response.setEncoding('utf8')) {
      text += chunk
      if (text.length > MAX_REPLY_BYTES) break
    }
  } catch {
    // The status says enough.
  }
  return text.trim()
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
