import { randomBytes } from 'node:crypto'
import type { Closed, Context, Resource } from '../../core/resource.ts'
import type { LiveStream } from '../../stream/live-stream.ts'
import type { RemoteChannels, RemoteStream } from '../../stream/remote/stream.ts'
import type { RemoteStreams } from '../../stream/remote/streams.ts'
import type { StartRequest } from '../start-request.ts'
import { SessionEvents } from './session-events.ts'
import { SessionReport } from './session-report.ts'

type Values = Record<string, unknown>

export type LivepeerSessionOptions = {
  remotes: RemoteStreams
  request: StartRequest
  channels: RemoteChannels
  pipeline: string
  /** Of the frames that the pipeline gets, unless the params say otherwise. */
  size: { width: number; height: number }
  /** When the request came, in milliseconds since 1970. */
  receivedAt: number
  statusEventMs: number
}

/** One stream of the Livepeer network. */
export class LivepeerSession implements Resource {
  readonly request: StartRequest
  readonly report: SessionReport
  readonly #remote: RemoteStream

  /** @throws AppError `capacity`, and nothing has begun. */
  constructor(options: LivepeerSessionOptions, context: Context) {
    const { remotes, request, channels, pipeline, size, receivedAt, statusEventMs } = options
    const { requestId, manifestId, streamId } = request
    this.request = request
    const events = new SessionEvents({ pipeline, receivedAt, statusEventMs })
    this.#remote = remotes.begin({
      name: `livepeer-${randomBytes(4).toString('hex')}`,
      channels,
      pipeline,
      params: { ...size, ...request.params },
      tell: (stream, send) => events.tell(stream, () => this.report, send),
      completeParams: (message) => this.complete(message),
      onFirstSegmentRead: () => events.trace('runner_receive_first_ingest_segment'),
      onFirstBytesSent: () => events.trace('runner_send_first_processed_segment'),
    })
    context.log.info({ stream: this.#remote.name, requestId, manifestId, streamId }, 'livepeer stream begins')
    this.report = new SessionReport(this.stream, receivedAt)
    this.stream.events.subscribe((event) => {
      if (event.type === 'state' && event.state === 'ERROR') this.#fail()
    }, 0)
  }

  get stream(): LiveStream {
    return this.#remote.stream
  }

  /** True from the moment that it begins to end. */
  get ending(): boolean {
    return this.#remote.ending
  }

  /** Settles before media flows; rejects with what is wrong. */
  get started(): Promise<void> {
    return this.#remote.started
  }

  get closed(): Promise<Closed> {
    return this.#remote.closed
  }

  /** An update that leaves the size out means the size there is, which cannot change while the stream runs. */
  complete(update: Values): Values {
    const { width, height } = this.stream.params.params
    return { ...(width !== undefined && { width }), ...(height !== undefined && { height }), ...update }
  }

  close(): Promise<Closed> {
    return this.#remote.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  /** A pipeline that was given up would be shown for ever; a gateway that loses the stream finds another runner. */
  #fail(): void {
    this.stream.events.emit({ type: 'error', source: 'pipeline', message: 'the pipeline was given up' })
    void this.close()
  }
}
