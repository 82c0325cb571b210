import { AppError } from '../core/errors.ts'
import { jsonMessages } from '../trickle/json.ts'
import type { Subscription } from '../trickle/subscription.ts'
import type { StreamEvents } from './events.ts'

type Values = Record<string, unknown>

/** A stream, as far as its control channel goes. */
export type ControlledStream = {
  readonly events: StreamEvents
  updateParams(mode: 'replace', value: Values): Promise<unknown>
}

/**
 * Each message of a control channel replaces the stream's params; what is wrong with one is an error event, and the next
 * is read. Ends with the channel. `complete` may add to a message what its sender leaves out.
 */
export async function followControl(
  stream: ControlledStream,
  subscription: Subscription,
  complete: (message: Values) => Values = (message) => message,
): Promise<void> {
  const onError = (error: AppError) => stream.events.emit({ type: 'error', source: 'control', message: error.message })
  for await (const message of jsonMessages(subscription, { onError })) {
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
