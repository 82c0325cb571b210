import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Child } from '../../src/core/child.ts'
import type { LiveKitConfig } from '../../src/remote/livekit/tokens.ts'
import { freePort } from '../../test/helpers/media/media-peer.ts'
import { waitFor } from '../../test/helpers/wait.ts'
import type { Logs } from './logs.ts'

const KEY = { apiKey: 'APIbench', apiSecret: 'a-secret-for-the-benchmark-of-the-cluster' }

export type Node = { url: string; child: Child | undefined; start(): Promise<void> }

/** Two nodes of a real LiveKit at one address of this machine, connected by Redis; the second is started later. */
export class Nodes implements AsyncDisposable {
  readonly nodes: Node[] = []
  readonly #folder: string
  readonly #redis: Child
  readonly #logs: Logs

  private constructor(folder: string, redis: Child, logs: Logs) {
    this.#folder = folder
    this.#redis = redis
    this.#logs = logs
  }

  static async start(program: string, address: string, webhook: string, logs: Logs): Promise<Nodes> {
    const folder = await mkdtemp(join(tmpdir(), 'mr-livekit-'))
    const redisPort = await freePort()
    const redis = await Child.spawn({
      command: 'redis-server',
      args: ['--port', String(redisPort), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', folder],
      stdio: 'ignore',
      graceMs: 2000,
    })
    const cluster = new Nodes(folder, redis, logs)
    try {
      for (const name of ['one', 'two'])
        cluster.nodes.push(await cluster.#prepare(name, program, address, redisPort, webhook))
      await cluster.nodes[0]!.start()
      return cluster
    } catch (thrown) {
      await cluster[Symbol.asyncDispose]()
      throw thrown
    }
  }

  get config(): LiveKitConfig {
    return { ...KEY, urls: this.nodes.map(({ url }) => url) }
  }

  /** Environment of programs that use it. */
  get env(): Record<string, string> {
    const { urls, apiKey, apiSecret } = this.config
    return { LIVEKIT_URL: urls.join(), LIVEKIT_API_KEY: apiKey, LIVEKIT_API_SECRET: apiSecret }
  }

  /** Has each node log what all its goroutines do, and end. */
  dump(): void {
    for (const { child } of this.nodes) child?.process.kill('SIGABRT')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.nodes.map(({ child }) => child?.close()))
    await this.#redis.close()
    await rm(this.#folder, { recursive: true, force: true })
  }

  async #prepare(name: string, program: string, address: string, redisPort: number, webhook: string): Promise<Node> {
    const [port, tcp, udp] = [await freePort(), await freePort(), await freePort()]
    const file = join(this.#folder, `${name}.yaml`)
    await writeFile(
      file,
      [
        `port: ${port}`,
        `bind_addresses: ["${address}"]`,
        `rtc: { tcp_port: ${tcp}, udp_port: ${udp}, use_external_ip: false, node_ip: ${address} }`,
        `redis: { address: "127.0.0.1:${redisPort}" }`,
        `keys: { ${KEY.apiKey}: ${KEY.apiSecret} }`,
        `webhook: { api_key: ${KEY.apiKey}, urls: ["${webhook}"] }`,
        `logging: { level: ${this.#logs.kept ? 'debug' : 'warn'} }`,
        '',
      ].join('\n'),
    )
    const url = `http://${address}:${port}`
    const node: Node = {
      url,
      child: undefined,
      start: async () => {
        const args = ['--config', file]
        node.child = await Child.spawn({
          command: program,
          args,
          stdio: this.#logs.stdio(`livekit-${name}`),
          graceMs: 2000,
        })
        await waitFor(`LiveKit's node ${name}`, async () => (await fetch(url)).ok)
      },
    }
    return node
  }
}
