import { AppError } from '../../src/core/errors.ts'
import { PROCESSOR, type Room, type RoomState, type Rooms } from '../../src/dispatch/livekit/rooms.ts'
import type { Chance, SimulatedClock } from './clock.ts'

/** LiveKit notices by ICE that a participant has died: disconnected after 10 s, failed after 5 more. */
const NOTICE_MS = 15_000

/** The holder of the identity in a room. */
export type Lock = { server: string; leave(): void; gone?: () => void }

type SimulatedRoom = { name: string; publishedAt: number; lock: Lock | undefined }

export type LiveKitOptions = { clock: SimulatedClock; chance: Chance; webhook(room: string): void }

/** Rooms with one publisher each, the exclusive identity, and the API. */
export class SimulatedLiveKit implements Rooms {
  readonly rooms = new Map<string, SimulatedRoom>()
  requests = 0
  readonly #options: LiveKitOptions

  constructor(options: LiveKitOptions) {
    this.#options = options
  }

  publish(name: string): void {
    this.rooms.set(name, { name, publishedAt: this.#options.clock.now(), lock: undefined })
    this.#options.webhook(name)
  }

  unpublish(name: string): void {
    const room = this.rooms.get(name)
    if (!room) return
    this.rooms.delete(name)
    room.lock?.gone?.()
    this.#options.webhook(name)
  }

  /** Joins under the identity: the previous holder is removed. False if the room is gone. */
  join(name: string, lock: Lock): boolean {
    const room = this.rooms.get(name)
    if (!room) return false
    const before = room.lock
    room.lock = lock
    before?.gone?.()
    before?.leave()
    this.#options.webhook(name)
    return true
  }

  leave(name: string, lock: Lock): void {
    const room = this.rooms.get(name)
    if (room?.lock !== lock) return
    room.lock = undefined
    this.#options.webhook(name)
  }

  /** Its packets stop. */
  die(name: string, lock: Lock): void {
    if (this.rooms.get(name)?.lock !== lock) return
    const cancel = this.#options.clock.after(NOTICE_MS, () => this.leave(name, lock))
    lock.gone = cancel
  }

  async list(): Promise<Room[]> {
    await this.#answer()
    return [...this.rooms.values()].map(roomOf)
  }

  async look(name: string): Promise<RoomState | undefined> {
    await this.#answer()
    const room = this.rooms.get(name)
    if (!room) return undefined
    const track = (sid: string) => ({ sid, kind: 'video' as const, name: 'camera', source: 'CAMERA' })
    const participants = [{ identity: 'publisher', sid: 'PA_1', tracks: [track('TR_1')] }]
    if (room.lock) participants.push({ identity: PROCESSOR, sid: 'PA_2', tracks: [track('TR_2')] })
    return { room: roomOf(room), participants }
  }

  async #answer(): Promise<void> {
    const { clock, chance } = this.#options
    this.requests++
    await clock.sleep(chance.between(2, 20))
    if (chance.next() < 0.001) throw new AppError('peer-failed', 'LiveKit answers 500', { retryable: true })
  }
}

const roomOf = ({ name, lock }: SimulatedRoom): Room => ({
  name,
  metadata: '{"millrace":{"pipeline":"effects"}}',
  publishers: lock ? 2 : 1,
})
