import { parseJsonObject } from '../../codec/json.ts'
import { AppError } from '../../core/errors.ts'
import type { LiveStream } from '../../stream/live-stream.ts'
import type { ChannelServices } from '../../webrtc/data/session-channels.ts'
import type { Permit } from '../guards/auth.ts'
import { errorOf, problemOf } from '../status.ts'
import { updateParams } from './answer.ts'

const MODES: Record<string, 'merge' | 'replace'> = { '': 'merge', merge: 'merge', replace: 'replace' }

/**
 * Answers the data channel `params`: like `POST /params` with its status or, on a channel with protocol `replace`, like
 * `PUT /streams/{stream}/params`.
 */
export function paramsService(
  stream: () => LiveStream,
  maxBodyBytes: number,
  permit: Permit,
): NonNullable<ChannelServices['params']> {
  return async (message, { protocol, maxMessageBytes }) => {
    try {
      await permit()
      if (message.length > maxBodyBytes) return JSON.stringify(tooLong(maxBodyBytes))
      const mode = MODES[protocol]
      if (!mode) {
        const accepted = 'merge (as without one) and replace are accepted'
        throw new AppError('invalid-request', `the channel has the protocol "${protocol}"; ${accepted}`)
      }
      const { status, answer } = await updateParams(stream(), mode, parseJsonObject(textOf(message), 'the message'))
      const whole = JSON.stringify({ status, ...answer })
      if (Buffer.byteLength(whole) <= maxMessageBytes) return whole
      const { params, ...short } = answer
      return JSON.stringify({ status, ...short })
    } catch (thrown) {
      return JSON.stringify(problemOf(errorOf(thrown)))
    }
  }
}

function textOf(message: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(message)
  } catch (cause) {
    throw new AppError('invalid-request', 'the message is not UTF-8', { cause })
  }
}

const tooLong = (maxBytes: number) =>
  problemOf(new AppError('invalid-request', `the message is longer than ${maxBytes} bytes`), 413)
