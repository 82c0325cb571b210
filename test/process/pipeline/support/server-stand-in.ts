/** A server with one stream on a pipeline, to be killed: prints the pids of all its processes. */
import { openTestPool, Source, until } from './hosts.ts'

const world = await openTestPool({ warm: 1 })
const source = new Source()
const request = { pipeline: 'leaves-grandchild', requestId: 'r', onFrame: source.onFrame }
const lease = await world.pool.lease(request, { log: world.log })
source.start(lease)
const said = () => world.logs.lines.map(({ line }) => String(line)).find((text) => text.startsWith('grandchildren'))
await until('outputs', () => source.outputs.length > 5 && said())
const grandchildren = said()!.split(' ').slice(1).map(Number)
process.send?.({ runner: lease.pid, grandchildren })
