import type { AppErrorJson } from '../../core/errors.ts'

/** State of a pull source. */
export type PullStatus = {
  /** As in the request: `rtsp`, `whep` and so on. */
  type: string
  /** Scheme, host and port: the rest of the URL may be secret. */
  from: string
  state: 'connecting' | 'running' | 'waiting'
  /** Bytes received over all connections. */
  bytes: number
  /** Packets lost or damaged over all connections. */
  lost: number
  /** Failed connections since the start. */
  failures: number
  /** Reason of the last failure. */
  lastError: AppErrorJson | null
  /** Time of the next attempt, ISO 8601; null unless it waits for one. */
  retryAt: string | null
}
