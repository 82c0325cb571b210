import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Child } from '../../src/core/child.ts'
import { freePort } from '../../test/helpers/media/media-peer.ts'
import { http, httpJson } from '../../test/helpers/server/http.ts'
import { startServer, type TestServer } from '../../test/helpers/server/server.ts'
import { waitFor } from '../../test/helpers/wait.ts'
import type { Logs } from './logs.ts'
import type { Network } from './networks.ts'

const CLI = fileURLToPath(new URL('../../src/cli.ts', import.meta.url))
const ANSWER_MS = 2000
const LIMIT = { limitMs: 120_000 }

/** A server with a fixed port in a network of its own, so that it can return there. */
export type Member = { port: number; url: string; network: Network; server: TestServer }

/** A Millrace server in each network, and a dispatcher, which can be stopped and restarted one by one. */
export class Fleet implements AsyncDisposable {
  readonly members: Member[] = []
  readonly #env: Record<string, string>
  readonly #folder: string
  readonly #dispatchPort: number
  readonly #logs: Logs
  #dispatcher: Child | undefined

  private constructor(env: Record<string, string>, folder: string, dispatchPort: number, logs: Logs) {
    this.#env = env
    this.#folder = folder
    this.#dispatchPort = dispatchPort
    this.#logs = logs
  }

  /** `room`: the room whose camera is processed. */
  static async start(
    env: Record<string, string>,
    networks: readonly Network[],
    dispatchPort: number,
    room: string,
    logs: Logs,
  ): Promise<Fleet> {
    const folder = await mkdtemp(join(tmpdir(), 'mr-dispatch-'))
    const fleet = new Fleet(env, folder, dispatchPort, logs)
    try {
      const rules = { rules: [{ room, participant: 'camera', source: 'any', pipeline: 'noop' }] }
      await writeFile(join(folder, 'rules.json'), JSON.stringify(rules))
      for (const network of networks) {
        const port = await freePort()
        const url = `http://${network.address}:${port}`
        fleet.members.push({ port, url, network, server: await fleet.#open(port, network) })
      }
      await fleet.startDispatcher()
      return fleet
    } catch (thrown) {
      await fleet[Symbol.asyncDispose]()
      throw thrown
    }
  }

  get dispatcherPid(): number {
    return this.#dispatcher!.pid
  }

  async startDispatcher(): Promise<void> {
    const servers = this.members.map(({ url }) => url).join()
    this.#dispatcher = await Child.spawn({
      ...{ command: process.execPath, args: [CLI, 'dispatch'], stdio: this.#logs.stdio('dispatcher'), graceMs: 2000 },
      env: {
        ...{
          ...process.env,
          ...this.#env,
          MILLRACE_SERVERS: servers,
          DISPATCH_RULES: join(this.#folder, 'rules.json'),
        },
        ...{ HOST: '127.0.0.1', PORT: String(this.#dispatchPort) },
      },
    })
    const url = `http://127.0.0.1:${this.#dispatchPort}/ready`
    await waitFor('the dispatcher', async () => (await http('GET', url)).status === 200, LIMIT)
  }

  /** The server that has the room: the one with a running output. */
  async working(): Promise<Member> {
    return await waitFor(
      'a server that works',
      async () => {
        for (const member of this.members) if (await works(member)) return member
        return undefined
      },
      LIMIT,
    )
  }

  /** Restarts a stopped server, and waits until it accepts streams. */
  async restart(member: Member): Promise<void> {
    member.server = await this.#open(member.port, member.network)
  }

  /** What each server says of its streams, for a log. */
  async describe(): Promise<string> {
    const told = this.members.map(async ({ url }) => {
      // A stopped one does not answer.
      const ask = (path: string) => httpJson<{ name: string }[]>('GET', url + path, { limitMs: ANSWER_MS })
      const { json } = await ask('/streams')
      const paths = json.flatMap(({ name }) => [`/streams/${name}`, `/streams/${name}/outputs`])
      return await Promise.all(paths.map(async (path) => [url + path, (await ask(path)).json]))
    })
    return JSON.stringify(await Promise.allSettled(told), null, 1)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#dispatcher?.close()
    // A stopped one would not hear that it is to end.
    for (const { server } of this.members) if (!server.exit) process.kill(server.pid, 'SIGCONT')
    await Promise.all(this.members.map(({ server }) => server.stop().catch(() => {})))
    await rm(this.#folder, { recursive: true, force: true })
  }

  async #open(port: number, { command: prefix }: Network): Promise<TestServer> {
    const onOutput = (text: string) => this.#logs.write(`server-${port}`, text)
    const env = { ...this.#env, HOST: '0.0.0.0', PORT: String(port), MAX_STREAMS: '2', MAX_FPS: '30' }
    return await startServer({ env, prefix, startLimitMs: 120_000, graceMs: 60_000, onOutput })
  }
}

async function works({ url }: Member): Promise<boolean> {
  const { json } = await httpJson<{ name: string }[]>('GET', `${url}/streams`).catch(() => ({ json: [] }))
  for (const { name } of json) {
    const outputs = await httpJson<{ type: string; state: string }[]>('GET', `${url}/streams/${name}/outputs`)
    if (outputs.json.some?.(({ type, state }) => type === 'livekit' && state === 'running')) return true
  }
  return false
}
