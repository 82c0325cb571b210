import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { StreamStatus } from '../../../src/stream/status.ts'
import { type ClipOptions, makeNumberedClip } from '../media/clip.ts'
import { type Publisher, type PublishOptions, startPublisher } from '../media/publish.ts'
import { WAIT_MS, waitFor } from '../wait.ts'
import { httpJson } from './http.ts'
import { type ServerOptions, startServer, type TestServer } from './server.ts'

/** A server with a folder for clips, and common actions of end-to-end tests. */
export type Stage = AsyncDisposable & {
  readonly server: TestServer
  readonly url: string
  readonly folder: string
  clip(options: Omit<ClipOptions, 'file'>): Promise<string>
  /** Publishes a clip to `/ingest/{stream}` and waits until frames come out. */
  publish(stream: string, input: string, options?: Partial<PublishOptions> & { query?: string }): Promise<Publisher>
  status(stream: string): Promise<StreamStatus>
  waitForStatus(
    stream: string,
    what: string,
    fits: (status: StreamStatus) => boolean,
    limitMs?: number,
  ): Promise<StreamStatus>
}

export async function setStage(options: ServerOptions = {}): Promise<Stage> {
  const folder = await mkdtemp(join(tmpdir(), 'mr-stage-'))
  const server = await startServer(options)
  const { url } = server
  const publishers: Publisher[] = []
  const status = async (stream: string) => {
    const { status, json } = await httpJson<StreamStatus>('GET', `${url}/streams/${stream}`)
    if (status !== 200) throw new Error(`status of ${stream}: ${status} ${JSON.stringify(json)}`)
    return json
  }
  const stage: Stage = {
    server,
    url,
    folder,
    clip: async (clip) => {
      const file = join(folder, `${Object.values(clip).join('-')}.ts`)
      await makeNumberedClip({ ...clip, file })
      return file
    },
    publish: async (stream, input, { query = '', ...more } = {}) => {
      const publisher = await startPublisher({ input, url: `${url}/ingest/${stream}${query}`, ...more })
      publishers.push(publisher)
      await stage.waitForStatus(stream, 'frames', ({ egress }) => egress.fps > 0)
      return publisher
    },
    status,
    waitForStatus: (stream, what, fits, limitMs = WAIT_MS) =>
      waitFor(
        `${what} of ${stream}`,
        async () => {
          const now = await status(stream)
          return fits(now) && now
        },
        { limitMs },
      ),
    [Symbol.asyncDispose]: async () => {
      await Promise.all(publishers.map((publisher) => publisher.kill()))
      await server.stop()
      await rm(folder, { recursive: true, force: true })
    },
  }
  return stage
}
