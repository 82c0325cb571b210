import { createHash } from 'node:crypto'

/** The form of stream names; a room with another name, or with the name of a channel, gets a derived one. */
const NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/
const CHANNEL = /-(out|events|data|control)$/

/** The stream name of a room: deterministic, so that a server refuses a second stream. */
export function streamNameOf(room: string): string {
  if (NAME.test(room) && !CHANNEL.test(room) && !room.startsWith('room-')) return room
  return `room-${createHash('sha256').update(room).digest('hex').slice(0, 32)}`
}
