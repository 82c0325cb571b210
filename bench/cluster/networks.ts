import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

const run = promisify(execFile)
/** An Ethernet address that no card has. */
const NOBODY = '02:00:00:00:00:ff'

const ip = (line: string) => run('ip', line.split(' '))

/** The network of one program: `command` in front of its own runs it there. */
export type Network = {
  /** Under which this machine reaches what runs there. */
  readonly address: string
  readonly command: readonly string[]
  /** All packets are lost, both ways, and no connection is told. */
  cut(): Promise<void>
  restore(): Promise<void>
}

/** Network namespaces, each connected to this machine by a link of its own; they need root. */
export class Networks implements AsyncDisposable {
  readonly all: Network[] = []
  readonly #namespaces: string[] = []

  /** Of this machine, as seen from each of the networks. */
  static readonly HOST = '10.213.0.1'

  static async make(count: number): Promise<Networks> {
    const networks = new Networks()
    try {
      for (let i = 0; i < count; i++) networks.all.push(await networks.#add(i))
      return networks
    } catch (thrown) {
      await networks[Symbol.asyncDispose]()
      throw thrown
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Its link goes with a namespace.
    for (const name of this.#namespaces) await ip(`netns del ${name}`)
  }

  async #add(i: number): Promise<Network> {
    const name = `mr-bench-${process.pid}-${i}`
    const [outer, inner] = [`mb${i}o${process.pid}`, `mb${i}i${process.pid}`]
    const [host, address] = [`10.213.${i}.1`, `10.213.${i}.2`]
    await ip(`netns add ${name}`)
    this.#namespaces.push(name)
    await ip(`link add ${outer} type veth peer name ${inner} netns ${name}`)
    await ip(`addr add ${host}/24 dev ${outer}`)
    await ip(`link set ${outer} up`)
    await ip(`-n ${name} link set lo up`)
    await ip(`-n ${name} addr add ${address}/24 dev ${inner}`)
    await ip(`-n ${name} link set ${inner} up`)
    await ip(`-n ${name} route add default via ${host}`)
    return {
      address,
      command: ['ip', 'netns', 'exec', name],
      // A link that is down would tell connections at once that there is no route; packets to another card just vanish.
      cut: async () => {
        await ip(`neigh replace ${address} lladdr ${NOBODY} dev ${outer} nud permanent`)
        await ip(`-n ${name} neigh replace ${host} lladdr ${NOBODY} dev ${inner} nud permanent`)
      },
      restore: async () => {
        await ip(`neigh del ${address} dev ${outer}`)
        await ip(`-n ${name} neigh del ${host} dev ${inner}`)
      },
    }
  }
}
