import type { Log } from '../core/log.ts'
import type { DiscoverOptions } from '../pipeline/catalog/catalog.ts'
import { checkFfmpeg } from './ffmpeg.ts'
import { type Finding, fine, warn } from './finding.ts'
import { checkGpu } from './gpu.ts'
import { checkCandidates, checkHttpPort, checkNetworkBuffers, checkUdpPorts } from './network.ts'
import { checkPipelines } from './pipelines.ts'
import { checkPython } from './python.ts'
import { checkModelDir, checkNode, checkSharedMemory } from './runtime.ts'

/** The settings that say what a server here would need. */
export type DoctorOptions = {
  host: string
  port: number
  unprotected: boolean
  udpPorts: readonly [number, number]
  publicIp: string | undefined
  ffmpegPath: string | undefined
  videoEncoder: string
  pipeline: string
  python: string
  modelDir: string
  pipelines: DiscoverOptions
}

/** Looks at everything a server needs of its machine. Nothing that is wrong makes it throw, and nothing is left behind. */
export async function examine(options: DoctorOptions, log: Log): Promise<Finding[]> {
  const { host, port, ffmpegPath: path, videoEncoder } = options
  const groups = await Promise.all([
    checkNode(),
    checkFfmpeg({ path, videoEncoder, log }),
    checkSharedMemory(),
    checkGpu(),
    checkPipelines(options.pipelines, options.pipeline),
    checkPython(options.python),
    checkModelDir(options.modelDir),
    checkHttpPort(host, port),
    checkAccess(options),
    checkUdpPorts(options.udpPorts),
    checkCandidates(options.publicIp),
    checkNetworkBuffers() ?? [],
  ])
  return groups.flat()
}

function checkAccess({ host, unprotected }: DoctorOptions): Finding {
  if (!unprotected) return fine('Access', 'nobody publishes or controls from elsewhere without a token')
  return warn('Access', `whoever reaches ${host} can publish and control`, 'set AUTH_TOKEN')
}
