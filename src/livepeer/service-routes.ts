import { Hono } from 'hono'
import type { StreamRegistry } from '../stream/registry.ts'
import type { Gpus } from './gpus.ts'
import { bothWays } from './paths.ts'

export type RunnerInfo = { version: string; pipeline: string }

type Health = 'IDLE' | 'OK' | 'LOADING' | 'ERROR'

/** What an orchestrator asks of a runner's container: health, version, hardware; contract §3.2. */
export function serviceRoutes(registry: StreamRegistry, info: RunnerInfo, gpus: Gpus): Hono {
  const app = new Hono()
  const envelope = { pipeline: 'live-video-to-video', model_id: info.pipeline }
  app.on('GET', bothWays('/health'), (c) => {
    const states = registry.running.map((stream) => stream.status().state)
    const room = !registry.draining && states.length < registry.maxStreams
    return c.json({ status: healthOf(states, room) })
  })
  app.on('GET', bothWays('/version'), (c) => c.json({ ...envelope, version: info.version }))
  app.on('GET', bothWays('/hardware/info'), async (c) => {
    const gpu_info = (await gpus.list()).map((gpu) => [
      gpu.index,
      {
        id: gpu.id,
        name: gpu.name,
        memory_total: gpu.memoryTotal,
        memory_free: gpu.memoryFree,
        major: gpu.major,
        minor: gpu.minor,
      },
    ])
    return c.json({ ...envelope, gpu_info: Object.fromEntries(gpu_info) })
  })
  app.on('GET', bothWays('/hardware/stats'), async (c) => {
    const gpu_stats = (await gpus.list()).map((gpu) => [
      gpu.index,
      {
        id: gpu.id,
        name: gpu.name,
        memory_total: gpu.memoryTotal,
        memory_free: gpu.memoryFree,
        utilization_compute: gpu.utilizationCompute,
        utilization_memory: gpu.utilizationMemory,
      },
    ])
    return c.json({ ...envelope, gpu_stats: Object.fromEntries(gpu_stats) })
  })
  return app
}

/**
 * IDLE while another stream fits, so that an orchestrator neither loses the runner nor books it twice; without room
 * LOADING or ERROR if every stream is in that state, otherwise OK.
 */
export function healthOf(states: string[], room: boolean): Health {
  if (room) return 'IDLE'
  if (states.length === 0) return 'OK'
  if (states.every((state) => state === 'ERROR')) return 'ERROR'
  if (states.every((state) => state === 'LOADING')) return 'LOADING'
  return 'OK'
}
