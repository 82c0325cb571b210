import type { Log } from '../../core/log.ts'

type Fields = Record<string, unknown>

/** Where lines go; a terminal gets moving progress bars. */
export type Output = { write(text: string): unknown; isTTY?: boolean; columns?: number }

const BAR = 24
const MEGA = 1e6

/** Shows the progress of preparation and downloads, as a `Log`. */
export class PrepareReport {
  readonly #output: Output
  /** The last reported tenth of each download, without a terminal. */
  readonly #told = new Map<string, number>()
  readonly #since = new Map<string, { at: number; bytes: number }>()
  #barShown = false

  constructor(output: Output) {
    this.#output = output
  }

  /** Prints a line of its own. */
  say(text: string): void {
    this.#output.write(`${this.#barShown ? '\r\x1b[K' : ''}${text}\n`)
    this.#barShown = false
  }

  log(bound: Fields = {}): Log {
    const write = (level: string) => (fields: object | string, message?: string) =>
      this.#write(level, { ...bound, ...(typeof fields === 'string' ? {} : fields) }, message ?? String(fields))
    return {
      debug: () => {},
      info: write('info'),
      warn: write('warn'),
      error: write('error'),
      child: (fields) => this.log({ ...bound, ...fields }),
    }
  }

  #write(level: string, { pipeline, ...fields }: Fields, message: string): void {
    const { download, bytes, totalBytes } = fields
    if (typeof download === 'string' && typeof bytes === 'number')
      this.#progress(download, bytes, typeof totalBytes === 'number' ? totalBytes : undefined, message === 'downloaded')
    else {
      const more = Object.entries(fields).map(([key, value]) => `${key}=${format(value)}`)
      const text = [level === 'info' ? '' : `${level}:`, message, ...more].filter(Boolean).join(' ')
      this.say(`  ${text}`)
    }
  }

  #progress(file: string, bytes: number, total: number | undefined, done: boolean): void {
    const share = done ? 1 : total ? bytes / total : undefined
    const amount = total && !done ? `${megabytes(bytes)} of ${megabytes(total)} MB` : `${megabytes(bytes)} MB`
    const percent = share === undefined ? '' : `${String(Math.floor(share * 100)).padStart(3)} % `
    if (this.#output.isTTY && !done) {
      const filled = Math.round((share ?? 0) * BAR)
      const bar = share === undefined ? '' : `[${'#'.repeat(filled)}${'.'.repeat(BAR - filled)}] `
      const line = `  ${file} ${bar}${percent}${amount}${this.#rate(file, bytes)}`
      this.#output.write(`\r\x1b[K${line.slice(0, (this.#output.columns ?? 80) - 1)}`)
      this.#barShown = true
      return
    }
    const step = done ? 11 : Math.floor((share ?? bytes / MEGA / 1000) * 10)
    if (this.#told.get(file) === step) return
    this.#told.set(file, step)
    this.say(`  ${file} ${percent}${amount}`)
  }

  #rate(file: string, bytes: number): string {
    const now = performance.now()
    const since = this.#since.get(file)
    if (!since) this.#since.set(file, { at: now, bytes })
    if (!since || now - since.at < 1000) return ''
    return `, ${megabytes(((bytes - since.bytes) * 1000) / (now - since.at))} MB/s`
  }
}

function megabytes(bytes: number): string {
  return (bytes / MEGA).toFixed(bytes < 100 * MEGA ? 1 : 0)
}

function format(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value)
}
