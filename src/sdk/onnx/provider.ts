import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import type { Provider } from './messages.ts'

/** What may compute: `auto` is CUDA where it can be used, else the CPU. */
export type ExecutionProvider = 'auto' | Provider

/** Why CUDA is not even worth trying, or undefined when it is. */
export function cudaAbsence(): string | undefined {
  if (process.platform !== 'linux' && process.platform !== 'win32')
    return `onnxruntime has none for ${process.platform}`
  const library = process.platform === 'win32' ? 'onnxruntime_providers_cuda.dll' : 'libonnxruntime_providers_cuda.so'
  const root = dirname(createRequire(import.meta.url).resolve('onnxruntime-node/package.json'))
  if (!existsSync(join(root, 'bin', 'napi-v6', process.platform, process.arch, library)))
    return 'its libraries are not installed; install onnxruntime-node with ONNXRUNTIME_NODE_INSTALL=cuda12'
  if (process.platform === 'linux' && !existsSync('/dev/nvidiactl') && !existsSync('/dev/dxg'))
    return 'there is no NVIDIA device'
  return undefined
}

/** What to try, in turn. */
export function candidates(wanted: ExecutionProvider, absence: string | undefined): Provider[] {
  if (wanted !== 'auto') return [wanted]
  return absence === undefined ? ['cuda', 'cpu'] : ['cpu']
}
