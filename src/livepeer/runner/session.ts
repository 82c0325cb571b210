import { randomBytes } from 'node:crypto'
import type { Closed, Context, Resource } from '../../core/resource.ts'
import type { LiveStream } from '../../stream/live-stream.ts'
import type { RemoteChannels, RemoteStream } from '../../stream/remote/stream.ts'
import type { RemoteStreams } from '../../stream/remote/streams.ts'
import type { StartRequest } from '../start-request.ts'
import { sizeIn, withSize } from './frame-size.ts'
import { SessionEvents } from './session-events.ts'
import { SessionReport } from './session-report.ts'

/** Contract §3.7: a session ends after this long without input, unlike a stream, whose publisher may be silent. */
const ENDED_INPUT_MS = 90_000

type Values = Record<string, unknown>

export type LivepeerSessionOptions = {
  remotes: RemoteStreams
  request: StartRequest
  channels: RemoteChannels
  pipeline: string
  /** Frame size for the pipeline, unless the params name another. */
  size: { width: number; height: number }
  /** Arrival of the request, in milliseconds since 1970. */
  receivedAt: number
  statusEventMs: number
}

/** One stream of the Livepeer network. */
export class LivepeerSession implements Resource {
  readonly request: StartRequest
  readonly report: SessionReport
  readonly #remote: RemoteStream

  /** @throws AppError `capacity`; then nothing has started. */
  constructor(options: LivepeerSessionOptions, context: Context) {
    const { remotes, request, channels, pipeline, size, receivedAt, statusEventMs } = options
    const { requestId, manifestId, streamId } = request
    this.request = request
    const events = new SessionEvents({ pipeline, receivedAt, statusEventMs })
    this.#remote = remotes.begin({
      name: `livepeer-${randomBytes(4).toString('hex')}`,
      channels,
      pipeline,
      params: withSize(pipeline, request.params, size),
      tell: (stream, send) => events.tell(stream, () => this.report, send),
      completeParams: (message) => this.complete(message),
      onFirstSegmentRead: () => events.trace('runner_receive_first_ingest_segment'),
      onFirstBytesSent: () => events.trace('runner_send_first_processed_segment'),
    })
    context.log.info({ stream: this.#remote.name, requestId, manifestId, streamId }, 'livepeer stream started')
    this.report = new SessionReport(this.stream, receivedAt)
    this.stream.events.subscribe((event) => {
      if (event.type === 'state' && event.state === 'ERROR') this.#fail('pipeline', 'the pipeline was given up')
      else if (event.type === 'status' && Date.now() - (this.stream.lastInputAt ?? receivedAt) > ENDED_INPUT_MS)
        this.#fail('ingest', `no frame came for ${ENDED_INPUT_MS / 1000} s`)
    }, 0)
  }

  get stream(): LiveStream {
    return this.#remote.stream
  }

  /** True as soon as it begins to end. */
  get ending(): boolean {
    return this.#remote.ending
  }

  /** Settles before media flows; rejects with the reason of a failed start. */
  get started(): Promise<void> {
    return this.#remote.started
  }

  get closed(): Promise<Closed> {
    return this.#remote.closed
  }

  /** An update without a size keeps the current one, which cannot change while the stream runs. */
  complete(update: Values): Values {
    const { pipeline, params } = this.stream.params
    return withSize(pipeline, update, sizeIn(pipeline, params))
  }

  close(): Promise<Closed> {
    return this.#remote.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  /** A failed pipeline would show the overlay for ever; a gateway that loses the stream finds another runner. */
  #fail(source: 'pipeline' | 'ingest', message: string): void {
    if (this.ending) return
    this.stream.events.emit({ type: 'error', source, message })
    void this.close()
  }
}
