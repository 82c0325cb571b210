import type { AddressInfo } from 'node:net'
import { createServer } from 'node:net'
import { Child, TailBuffer } from '../../../src/core/child.ts'
import { http } from '../../../test/helpers/server/http.ts'
import { waitFor } from '../../../test/helpers/wait.ts'
import type { Options } from '../benchmark.ts'
import { treeCpuMs } from '../processes.ts'

/** A command that compiles first, such as `go run`, takes long. */
const START_MS = 120_000

/** Another server, started by a command of the user. */
export type Peer = AsyncDisposable & {
  /** Without a trailing slash. */
  readonly url: string
  /** Of its whole process tree: the command may be a launcher. */
  cpuMs(): number
}

/** Starts the `--peer` command on a free port; resolves when it answers HTTP at `--peer-url`, or else at `url`. */
export async function openPeer({ peer, peerUrl }: Options, url: string): Promise<Peer> {
  if (!peer) throw new Error('no --peer was given')
  const port = String(await freePort())
  const base = (peerUrl ?? url).replaceAll('{port}', port).replace(/\/$/, '')
  const child = await Child.spawn({
    command: '/bin/sh',
    args: ['-c', `exec ${peer.replaceAll('{port}', port)}`],
    stdio: ['ignore', 'ignore', 'pipe'],
    group: true,
  })
  const said = new TailBuffer(10)
  child.process.stderr!.setEncoding('utf8').on('data', (chunk: string) => said.push(chunk))
  try {
    const answers = async () => child.exit !== undefined || (await http('GET', base)).status > 0
    await waitFor(`the peer at ${base}`, answers, { limitMs: START_MS })
    if (child.exit) throw new Error('the peer ended before it answered')
  } catch (thrown) {
    await child.close()
    throw new Error([(thrown as Error).message, ...said.lines].join('\n'))
  }
  return {
    url: base,
    cpuMs: () => treeCpuMs(child.pid),
    [Symbol.asyncDispose]: async () => {
      await child.close()
    },
  }
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}
