import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { waitFor } from '../wait.ts'

/** A process's resources at one moment, as counts. */
export type Held = { timers: number; handles: number; listeners: number; descriptors: number; mappings: number }

/** Asks a server started with `env` for its resources. */
export class HeldReports {
  readonly #folder = mkdtempSync(join(tmpdir(), 'mr-held-'))
  readonly #file = join(this.#folder, 'held')
  readonly env = {
    NODE_OPTIONS: `--import ${new URL('./report-resources.ts', import.meta.url).href}`,
    RESOURCES_FILE: this.#file,
  }

  async of(pid: number): Promise<Held> {
    const lines = () => (existsSync(this.#file) ? readFileSync(this.#file, 'utf8').trim().split('\n') : [])
    const { length } = lines()
    process.kill(pid, 'SIGUSR2')
    await waitFor('what the server holds', () => lines().length > length, { limitMs: 30_000 })
    return JSON.parse(lines().at(-1)!)
  }

  [Symbol.dispose](): void {
    rmSync(this.#folder, { recursive: true, force: true })
  }
}
