import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { Child } from '../../../src/core/child.ts'
import { deadline } from '../../../src/core/resource.ts'
import type { Seen, ViewerOrder } from './viewer-program.ts'

const PROGRAM = fileURLToPath(new URL('./viewer-program.ts', import.meta.url))
/** Number of viewers that one process can count without being late itself. */
const VIEWERS_A_PROCESS = 30
const ANSWER_MS = 60_000

type Reply = { ok: true; seen: Seen[] } | { ok: false; error: string }

/** Any number of WHEP viewers, in their own processes. */
export class Crowd implements AsyncDisposable {
  size = 0
  readonly #url: string
  readonly #loss: number
  readonly #processes: Child[] = []

  /** `loss`: share of the packets lost on the network to each viewer, 0 to 1. */
  constructor(url: string, loss = 0) {
    this.#url = url
    this.#loss = loss
  }

  /** Resolves when `size` viewers watch in total. */
  async grow(size: number): Promise<void> {
    while (this.size < size) {
      const room = VIEWERS_A_PROCESS - (this.size % VIEWERS_A_PROCESS)
      const count = Math.min(room, size - this.size)
      if (room === VIEWERS_A_PROCESS) this.#processes.push(await start())
      await ask(this.#processes.at(-1)!, { type: 'open', url: this.#url, count, loss: this.#loss })
      this.size += count
    }
  }

  /** Lets all viewers watch while `during` runs, and returns what each saw. */
  async watch(during: () => Promise<void>): Promise<Seen[]> {
    await this.#all({ type: 'begin' })
    await during()
    return await this.#all({ type: 'end' })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#processes.map((child) => child.close()))
  }

  async #all(order: ViewerOrder): Promise<Seen[]> {
    return (await Promise.all(this.#processes.map((child) => ask(child, order)))).flat()
  }
}

function start(): Promise<Child> {
  return Child.spawn({ command: process.execPath, args: [PROGRAM], stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
}

async function ask(child: Child, order: ViewerOrder): Promise<Seen[]> {
  const answered = once(child.process, 'message')
  child.process.send(order)
  const [reply] = (await deadline(answered, ANSWER_MS, 'the answer of the viewers')) as [Reply]
  if (!reply.ok) throw new Error(`a viewer failed: ${reply.error}`)
  return reply.seen
}
