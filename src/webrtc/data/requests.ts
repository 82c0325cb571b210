import type { DataChannel } from './channels.ts'

/** Limit of requests in progress. */
const MAX_AT_ONCE = 16
/** Limits of waiting requests, in number and bytes; beyond them the channel is closed. */
const MAX_WAITING = 256
const MAX_BYTES = 2 * 1024 * 1024

/** Answers each message of a channel, in order. `answer` never rejects. */
export function answerRequests(channel: DataChannel, answer: (message: Buffer) => Promise<string>): void {
  const waiting: Buffer[] = []
  let bytes = 0
  let working = 0
  let sent: Promise<unknown> = Promise.resolve()
  const begin = () => {
    while (working < MAX_AT_ONCE && waiting.length > 0 && !channel.closed) {
      const message = waiting.shift()!
      const { length } = message
      working++
      const answered = answer(message)
      sent = sent
        .then(async () => await channel.send(await answered))
        .finally(() => {
          bytes -= length
          working--
          begin()
        })
    }
  }
  channel.onMessage = (message) => {
    waiting.push(message)
    bytes += message.length
    // A single message may have any permitted length.
    if (waiting.length > MAX_WAITING || (bytes > MAX_BYTES && bytes > message.length)) return channel.close()
    begin()
  }
  channel.onClosed = () => {
    waiting.length = 0
    channel.onMessage = () => {}
  }
}
