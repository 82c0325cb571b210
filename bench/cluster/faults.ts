import { once } from 'node:events'
import { waitFor } from '../../test/helpers/wait.ts'
import type { Fleet } from './fleet.ts'
import type { Nodes } from './nodes.ts'

export type Stage = { fleet: Fleet; nodes: Nodes }

export type Fault = {
  name: string
  /** Happens once, at the end: a room that has moved does not move back. */
  last?: boolean
  /** Longest permitted gap of processed frames at the viewer, in milliseconds; undefined: no limit. */
  limitMs?: number
  /** Causes the fault; returns a function that repairs it. */
  strike(stage: Stage): Promise<() => Promise<void>>
}

const LIMIT = { limitMs: 120_000 }

export const FAULTS: readonly Fault[] = [
  {
    ...{ name: 'the server that works is killed (SIGKILL)', limitMs: 3000 },
    strike: async ({ fleet }) => {
      const member = await fleet.working()
      process.kill(member.server.pid, 'SIGKILL')
      return () => fleet.restart(member)
    },
  },
  {
    ...{ name: 'the server that works is stopped (SIGSTOP)', limitMs: 3000 },
    strike: async ({ fleet }) => {
      const member = await fleet.working()
      process.kill(member.server.pid, 'SIGSTOP')
      return async () => {
        process.kill(member.server.pid, 'SIGCONT')
        // It has to notice that it was replaced.
        await waitFor('one server that works', async () => (await fleet.working()) !== member, LIMIT)
      }
    },
  },
  {
    ...{ name: 'the server that works loses its network', limitMs: 3000 },
    strike: async ({ fleet }) => {
      const member = await fleet.working()
      await member.network.cut()
      return async () => {
        await member.network.restore()
        // It has to see that its place is taken.
        await waitFor('one server that works', async () => (await fleet.working()) !== member, LIMIT)
      }
    },
  },
  {
    ...{ name: 'the server that works is told to end (SIGTERM)', limitMs: 500 },
    strike: async ({ fleet }) => {
      const member = await fleet.working()
      process.kill(member.server.pid, 'SIGTERM')
      return async () => {
        await member.server.closed
        await fleet.restart(member)
      }
    },
  },
  {
    ...{ name: 'the dispatcher is killed', limitMs: 200 },
    strike: async ({ fleet }) => {
      process.kill(fleet.dispatcherPid, 'SIGKILL')
      return () => fleet.startDispatcher()
    },
  },
  {
    last: true,
    name: "the LiveKit node that has the room is killed, which is not the viewer's",
    strike: async ({ nodes }) => {
      const [node] = nodes.nodes
      const { process: child } = node!.child!
      const ended = once(child, 'exit')
      child.kill('SIGKILL')
      await ended
      return () => node!.start()
    },
  },
]
