/** A server, and a number derived from its name. */
export type Ranked = { name: string; seed: number }

/**
 * Servers in the order in which they are asked for a room (rendezvous hashing). Dispatchers that know the same servers
 * ask in the same order, so that the second finds the first one's stream; and rooms spread over all servers.
 */
export function* inOrder(room: string, servers: readonly Ranked[]): Generator<string> {
  const seed = seedOf(room)
  const weights = servers.map((server) => mixed(server.seed ^ seed))
  // Usually only the first is needed: selecting costs less than sorting all.
  for (let taken = 0; taken < servers.length; taken++) {
    let best = -1
    for (let at = 0; at < weights.length; at++) {
      if (weights[at]! < 0) continue
      const isBetter = best < 0 || weights[at]! > weights[best]!
      if (isBetter || (weights[at] === weights[best] && servers[at]!.name < servers[best]!.name)) best = at
    }
    weights[best] = -1
    yield servers[best]!.name
  }
}

/** FNV-1a. */
export function seedOf(text: string): number {
  let value = 0x811c9dc5
  for (let at = 0; at < text.length; at++) value = Math.imul(value ^ text.charCodeAt(at), 0x01000193)
  return mixed(value)
}

/** Spreads differences in a few bits over all bits (the finalizer of MurmurHash3). */
function mixed(value: number): number {
  let bits = Math.imul(value ^ (value >>> 16), 0x85ebca6b)
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35)
  return (bits ^ (bits >>> 16)) >>> 0
}
