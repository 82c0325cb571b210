import { parseExactJson } from '../codec/json.ts'
import { AppError } from '../core/errors.ts'
import { jsonMessages } from '../trickle/json.ts'
import type { Subscription } from '../trickle/subscription.ts'
import type { StreamEvents } from './events.ts'

type Values = Record<string, unknown>

/** The part of a stream that a control channel needs. */
export type ControlledStream = {
  readonly events: StreamEvents
  /** Limit of one message. */
  readonly maxBodyBytes: number
  updateParams(mode: 'replace', value: Values): Promise<unknown>
}

/**
 * Applies each message of a control channel as the stream's new params. A wrong message becomes an error event, and the
 * next one is read. Ends with the channel. `complete` may add what the sender leaves out.
 */
export async function followControl(
  stream: ControlledStream,
  subscription: Subscription,
  complete: (message: Values) => Values = (message) => message,
): Promise<void> {
  const onError = (error: AppError) => stream.events.emit({ type: 'error', source: 'control', message: error.message })
  const options = { maxBytes: stream.maxBodyBytes, onError, parse: parseExactJson }
  for await (const message of jsonMessages(subscription, options)) {
    try {
      if (message === null || typeof message !== 'object' || Array.isArray(message)) {
        throw new AppError('invalid-request', 'a control message must be a JSON object of params')
      }
      await stream.updateParams('replace', complete(message as Values))
    } catch (thrown) {
      onError(AppError.from(thrown))
    }
  }
}
