import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { Child } from '../../src/core/child.ts'
import { joinToken, type LiveKitConfig } from '../../src/remote/livekit/tokens.ts'
import type { Logs } from './logs.ts'
import type { Sighting } from './viewer-program.ts'

const PROGRAM = fileURLToPath(new URL('./viewer-program.ts', import.meta.url))

/** A viewer in its own process, and the frames of the processed track that it saw. */
export class Watcher implements AsyncDisposable {
  readonly sightings: Sighting[] = []
  readonly #child: Child

  private constructor(child: Child, logs: Logs) {
    this.#child = child
    createInterface({ input: child.process.stdout! }).on('line', (line) => {
      // The client also prints log lines.
      if (!line.startsWith('[')) return
      this.sightings.push(JSON.parse(line) as Sighting)
      logs.write('sightings', `${line}\n`)
    })
  }

  static async open(client: string, url: string, config: LiveKitConfig, room: string, logs: Logs): Promise<Watcher> {
    const token = await joinToken(config, { room, identity: 'viewer', canPublish: false, canSubscribe: true })
    const args = [PROGRAM, client, url.replace(/^http/, 'ws'), token]
    const [, , err] = logs.stdio('viewer')
    const stdio = ['ignore' as const, 'pipe' as const, err]
    return new Watcher(await Child.spawn({ command: process.execPath, args, stdio, graceMs: 1000 }), logs)
  }

  /** Arrivals of processed frames. */
  get processed(): number[] {
    return this.sightings.filter(([, number]) => number >= 0).map(([at]) => at)
  }

  /** The longest gap between processed frames that ends after `from`; undefined if there was none since. */
  gapSince(from: number): number | undefined {
    const times = this.processed
    const gaps = times.slice(1).flatMap((at, i) => (at >= from ? [at - Math.max(times[i]!, 0)] : []))
    return gaps.length > 0 ? Math.max(...gaps) : undefined
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#child.close()
  }
}
