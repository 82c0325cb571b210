import { AppError } from '../../core/errors.ts'
import type { Log } from '../../core/log.ts'
import type { IngestSource } from '../../core/media/endpoints.ts'
import type { Closed, Context, Resource } from '../../core/resource.ts'
import type { StreamEvents } from '../events.ts'

export type PublishOptions = {
  /** Default: the server's default pipeline. */
  pipeline?: string
  /** Initial params, merged over those of the pipeline. */
  params?: Record<string, unknown>
  /** Opens the publisher's media, which may lack video if `audioAlone`; called once everything else is ready. */
  open(context: Context, wants: { audioAlone: boolean }): Promise<IngestSource>
}

/** One publisher on a stream, from its start to its end. */
export type Publication = Resource

/**
 * Whether the publisher has video.
 * @throws AppError `unsupported-media` if it has none and the pipeline processes frames.
 */
export function checkVideo(source: IngestSource, { pipeline, takesVideo }: { pipeline: string; takesVideo: boolean }) {
  const hasVideo = source.tracks.some(({ kind }) => kind === 'video')
  if (hasVideo || !takesVideo) return hasVideo
  const message = `the stream has audio but no frame; ${pipeline} needs a video track (H.264, HEVC, VP8, VP9 or AV1)`
  throw new AppError('unsupported-media', message)
}

/** Sends the event that a publisher joined and, when `run` is over, that it left. */
export async function tellPublisher(
  { kind, tracks }: IngestSource,
  { events, log, pipeline }: { events: StreamEvents; log: Log; pipeline: string },
  run: () => Promise<Closed>,
): Promise<Closed> {
  events.emit({ type: 'publisher', event: 'joined', kind })
  log.info({ kind, tracks, pipeline }, 'publisher joined')
  const closed = await run()
  log.info({ kind, why: closed.why, err: closed.error }, 'publisher left')
  events.emit({ type: 'publisher', event: 'left', kind, reason: closed.error?.message ?? closed.why })
  return closed
}
