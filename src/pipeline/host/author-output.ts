const INTERVAL_MS = 1000
const LINES_PER_INTERVAL = 40
const LINE_CHARS = 2000
const TAIL_LINES = 100
const TAIL_BYTES = 32 * 1024

/**
 * A runner's printed lines: rate-limited, with the last hundred kept. Beyond the limit nothing is decoded, so a
 * pipeline that prints endlessly costs next to nothing.
 */
export class AuthorOutput {
  readonly #onLine: (line: string) => void
  readonly #kept: string[] = []
  #raw: Buffer[] = []
  #rawBytes = 0
  #partial = ''
  #left = LINES_PER_INTERVAL
  #since = 0
  #lostBytes = 0
  #midLine = false

  constructor(onLine: (line: string) => void) {
    this.#onLine = onLine
  }

  push(chunk: Buffer, now = performance.now()): void {
    if (now - this.#since >= INTERVAL_MS) this.#openInterval(now)
    if (this.#left <= 0) {
      this.#lose(chunk)
      return
    }
    let text = chunk.toString('utf8')
    if (this.#midLine) {
      const end = text.indexOf('\n')
      if (end < 0) return
      text = text.slice(end + 1)
      this.#midLine = false
    }
    const lines = (this.#partial + text).split(/\r?\n/)
    this.#partial = (lines.pop() ?? '').slice(0, LINE_CHARS)
    for (const line of lines) this.line(line)
  }

  /** Takes one complete line, also from elsewhere: it is kept among the last, and emitted within the rate limit. */
  line(line: string): void {
    if (line === '') return
    if (this.#left-- <= 0) {
      this.#lostBytes += line.length
      return
    }
    this.keep(line)
    this.#onLine(line.slice(0, LINE_CHARS))
  }

  /** Keeps a line among the last without emitting it. */
  keep(line: string): void {
    this.#kept.push(line.slice(0, LINE_CHARS))
    if (this.#kept.length > TAIL_LINES) this.#kept.shift()
  }

  /** The last lines, oldest first. */
  get tail(): string[] {
    const raw = Buffer.concat(this.#raw).toString('utf8').split(/\r?\n/).slice(1)
    const all = [...this.#kept, this.#partial, ...raw].filter((line) => line !== '')
    return all.slice(-TAIL_LINES).map((line) => line.slice(0, LINE_CHARS))
  }

  #openInterval(now: number): void {
    if (this.#lostBytes > 0) this.#onLine(`(${this.#lostBytes} more bytes of output left out)`)
    this.#since = now
    this.#left = LINES_PER_INTERVAL
    this.#lostBytes = 0
  }

  #lose(chunk: Buffer): void {
    this.#lostBytes += chunk.length
    this.#midLine = true
    this.#partial = ''
    this.#raw.push(chunk)
    this.#rawBytes += chunk.length
    while (this.#raw.length > 1 && this.#rawBytes - this.#raw[0]!.length >= TAIL_BYTES)
      this.#rawBytes -= this.#raw.shift()!.length
  }
}
