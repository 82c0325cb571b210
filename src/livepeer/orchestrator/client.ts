import { AppError } from '../../core/errors.ts'
import type { Target } from '../../core/url-guard.ts'
import { TrickleClient } from '../../trickle/client/http.ts'

const TIMEOUT_MS = 5000

export type OrchestratorAnswer = { status: number; text: string }

/** Sends JSON to an orchestrator; redirects are not followed. */
export class OrchestratorClient {
  readonly #client: TrickleClient

  constructor(target: Target) {
    this.#client = new TrickleClient(target)
  }

  /** Any answer within 5 s. Rejects with `trickle-failed` if there is none. */
  async send(
    method: 'POST' | 'DELETE',
    path: string,
    headers: Record<string, string>,
    body: unknown = {},
  ): Promise<OrchestratorAnswer> {
    const json = { ...headers, 'content-type': 'application/json' }
    const { status, text } = await this.#client.call(method, path, json, TIMEOUT_MS, JSON.stringify(body))
    return { status, text }
  }

  /** Has the status in its details. */
  refusal({ status, text }: OrchestratorAnswer): AppError {
    const message = `${this.#client.name}: status ${status}: ${text.trim().slice(0, 200)}`
    return new AppError('trickle-failed', message, { details: { status } })
  }

  close(): void {
    this.#client.destroy()
  }
}
