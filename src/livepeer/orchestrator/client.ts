import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { AppError } from '../../core/errors.ts'
import type { Target } from '../../core/url-guard.ts'
import { readText, TrickleClient } from '../../trickle/client/http.ts'

const TIMEOUT_MS = 5000

export type OrchestratorAnswer = { status: number; text: string }

/** JSON to an orchestrator; redirects are not followed, as everywhere. */
export class OrchestratorClient {
  readonly #client: TrickleClient

  constructor(target: Target) {
    this.#client = new TrickleClient(target)
  }

  /** Any answer, in 5 s. Rejects with `trickle-failed` when there is none. */
  async send(
    method: 'POST' | 'DELETE',
    path: string,
    headers: Record<string, string>,
    body: unknown = {},
  ): Promise<OrchestratorAnswer> {
    const payload = JSON.stringify(body)
    const request = this.#client.request(method, path, {
      ...headers,
      'content-type': 'application/json',
      'content-length': String(Buffer.byteLength(payload)),
    })
    const timer = setTimeout(() => request.destroy(new Error(`no answer in ${TIMEOUT_MS} ms`)), TIMEOUT_MS)
    try {
      request.end(payload)
      const [response] = (await once(request, 'response')) as [IncomingMessage]
      return { status: response.statusCode ?? 0, text: await readText(response) }
    } catch (thrown) {
      throw this.#client.failure(thrown)
    } finally {
      clearTimeout(timer)
      request.on('error', () => {})
    }
  }

  refusal({ status, text }: OrchestratorAnswer): AppError {
    return new AppError('trickle-failed', `${this.#client.name}: status ${status}: ${text.trim().slice(0, 200)}`)
  }

  close(): void {
    this.#client.destroy()
  }
}
