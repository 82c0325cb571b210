import { nowMs } from '../../core/clock.ts'
import { AppError } from '../../core/errors.ts'
import type { Log } from '../../core/log.ts'
import { sleep } from '../../core/resource.ts'
import type { PipelineLease } from '../../pipeline/supervision/pool/pool.ts'
import { onFailure } from './next-lease.ts'
import type { Takeover } from './takeover.ts'

/** After this long without a frame, a takeover without output would go unnoticed. */
const QUIET_MS = 3000
/** Time limit for the first output. */
const FIRST_OUTPUT_MS = 10_000
/** Time limit once the pipeline has begun to throw. */
const FAILING_MS = 2000
const LOOK_MS = 100

export type FirstOutputOptions = {
  takeover: Takeover
  to: PipelineLease
  /** Arrival of the stream's newest frame, on the clock of `nowMs`. */
  lastInputAt(): number
  signal: AbortSignal
  log: Log
}

/** Resolves when the takeover has finished. Rejects if the new pipeline gets frames and gives no output. */
export async function firstOutput({ takeover, to, lastInputAt, signal, log }: FirstOutputOptions): Promise<void> {
  const began = nowMs()
  let failure: AppError | undefined
  let failingSince: number | undefined
  const listening = [
    onFailure(to, (error) => {
      failure ??= error
    }),
    to.events.on('error', ({ message }) => {
      failingSince ??= nowMs()
      log.debug({ pipeline: to.pipeline, message }, 'the pipeline that is to take over threw')
    }),
  ]
  try {
    for (;;) {
      const finished = await Promise.race([takeover.finished.then(() => true), sleep(LOOK_MS).then(() => false)])
      if (finished) return
      if (takeover.switched) continue
      signal.throwIfAborted()
      if (failure) throw failure
      const now = nowMs()
      // A pipeline for audio only outputs no frames; from here the stream's frames pass around it.
      if (!to.takesVideo || now - lastInputAt() > QUIET_MS) takeover.force()
      else if (now - began > FIRST_OUTPUT_MS || (failingSince !== undefined && now - failingSince > FAILING_MS)) {
        const { lastError } = to.stats()
        const why = lastError ? `: ${lastError.message}` : ` in ${Math.round((now - began) / 1000)} s`
        throw new AppError('pipeline-failed', `${to.pipeline} got ${takeover.offered} frames and gave none${why}`)
      }
    }
  } finally {
    for (const off of listening) off()
  }
}
