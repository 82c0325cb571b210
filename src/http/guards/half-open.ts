import type { SignalledSession } from '../../webrtc/signalling/session.ts'

export type HalfOpenLimits = { perAddress: number; inAll: number }

type HalfOpen = { session: SignalledSession; address: string; stream: string }

/**
 * Sessions that were answered and have not connected yet. Beyond the limits the oldest session of the address with most
 * is dropped, so that nobody can block others by only asking; a real client connects within a second.
 */
export class HalfOpenSessions {
  readonly #limits: HalfOpenLimits
  /** Oldest first. */
  readonly #sessions = new Set<HalfOpen>()

  constructor(limits: HalfOpenLimits) {
    this.#limits = limits
  }

  add(session: SignalledSession, address: string, stream: string): void {
    const one = { session, address, stream }
    this.#sessions.add(one)
    const leave = () => void this.#sessions.delete(one)
    void session.connected.then(leave, leave)
    void session.closed.then(leave)
    const own = [...this.#sessions].filter((other) => other.address === address)
    if (own.length > this.#limits.perAddress) void this.#end(own[0])
    else if (this.#sessions.size > this.#limits.inAll) void this.#end(oldestOfMost([...this.#sessions]))
  }

  /** Ends one of the stream's half-open sessions; false if there is none. */
  async makeRoom(stream: string): Promise<boolean> {
    const one = oldestOfMost([...this.#sessions].filter((other) => other.stream === stream))
    await this.#end(one)
    return one !== undefined
  }

  async #end(one: HalfOpen | undefined): Promise<void> {
    if (!one) return
    this.#sessions.delete(one)
    await one.session.close()
  }
}

function oldestOfMost(sessions: readonly HalfOpen[]): HalfOpen | undefined {
  const byAddress = [...Map.groupBy(sessions, ({ address }) => address).values()]
  return byAddress.sort((a, b) => b.length - a.length)[0]?.[0]
}
