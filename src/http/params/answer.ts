import type { LiveStream } from '../../stream/live-stream.ts'

/** Changes a stream's params; returns the response body and status. @throws AppError as the pipeline refuses. */
export async function updateParams(stream: LiveStream, mode: 'merge' | 'replace', value: Record<string, unknown>) {
  const { status, revision, hash, params, ignored } = await stream.updateParams(mode, value)
  const answer = {
    stream: stream.name,
    pipeline: stream.params.pipeline,
    revision,
    hash,
    params,
    ...(ignored.length > 0 && { ignored }),
  }
  return { answer, status: status === 'applied' ? (200 as const) : (202 as const) }
}
