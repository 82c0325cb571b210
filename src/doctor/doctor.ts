import type { Log } from '../core/log.ts'
import type { DiscoverOptions } from '../pipeline/catalog/catalog.ts'
import { checkFfmpeg } from './ffmpeg.ts'
import { type Finding, fine, warn } from './finding.ts'
import { checkGpu, checkOnnx } from './gpu.ts'
import { checkCandidates, checkHttpPort, checkNetworkBuffers, checkUdpPort, checkUdpPorts } from './network.ts'
import { checkPipelines } from './pipelines.ts'
import { checkPython } from './python.ts'
import { checkModelDir, checkNode, checkSharedMemory, checkSystem } from './runtime.ts'

/** Settings that determine a server's requirements. */
export type DoctorOptions = {
  host: string
  port: number
  unprotected: boolean
  udpPort: number | undefined
  udpPorts: readonly [number, number] | undefined
  publicIp: string | undefined
  ffmpegPath: string | undefined
  videoEncoder: string
  pipeline: string
  python: string
  modelDir: string
  pipelines: DiscoverOptions
}

/** Checks everything that a server needs of its machine. Never throws, and leaves nothing behind. */
export async function examine(options: DoctorOptions, log: Log): Promise<Finding[]> {
  const { host, port, ffmpegPath: path, videoEncoder } = options
  const groups = await Promise.all([
    checkNode(),
    checkSystem(),
    checkFfmpeg({ path, videoEncoder, log }),
    checkSharedMemory(),
    checkOnnx(),
    checkGpu(),
    checkPipelines(options.pipelines, options.pipeline),
    checkPython(options.python),
    checkModelDir(options.modelDir),
    checkHttpPort(host, port),
    checkAccess(options),
    options.udpPorts ? checkUdpPorts(options.udpPorts) : checkUdpPort(options.udpPort),
    checkCandidates(options.publicIp),
    checkNetworkBuffers() ?? [],
  ])
  return groups.flat()
}

function checkAccess({ host, unprotected }: DoctorOptions): Finding {
  if (!unprotected) return fine('Access', 'publishing and control from other machines need a token')
  return warn('Access', `anyone who reaches ${host} can publish and control`, 'set AUTH_TOKEN')
}
