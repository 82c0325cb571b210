import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import type { Provider } from './messages.ts'

const require = createRequire(import.meta.url)

/** Execution provider: `auto` is CUDA if available, else the CPU. */
export type ExecutionProvider = 'auto' | Provider

/** The ONNX Runtime package, in the version that Millrace is tested with. */
const RUNTIME = 'onnxruntime-node@1.30.0'

/** Why no model can run; undefined if models can. npm leaves the package out if its install script fails. */
export function runtimeAbsence(): string | undefined {
  try {
    require.resolve('onnxruntime-node')
    return undefined
  } catch {
    return `the npm package onnxruntime-node is not installed; ${RUNTIME_MEND} brings it, for the CPU, without a download besides npm's own`
  }
}

export const RUNTIME_MEND = `ONNXRUNTIME_NODE_INSTALL=skip npm install ${RUNTIME}`

/** Why CUDA need not be tried; undefined if it should be. */
export function cudaAbsence(): string | undefined {
  if (process.platform !== 'linux' && process.platform !== 'win32')
    return `onnxruntime has none for ${process.platform}`
  const library = process.platform === 'win32' ? 'onnxruntime_providers_cuda.dll' : 'libonnxruntime_providers_cuda.so'
  const absence = runtimeAbsence()
  if (absence !== undefined) return absence
  const root = dirname(require.resolve('onnxruntime-node/package.json'))
  if (!existsSync(join(root, 'bin', 'napi-v6', process.platform, process.arch, library)))
    return 'its libraries are not installed; install onnxruntime-node with ONNXRUNTIME_NODE_INSTALL=cuda12'
  if (process.platform === 'linux' && !existsSync('/dev/nvidiactl') && !existsSync('/dev/dxg'))
    return 'there is no NVIDIA device'
  return undefined
}

/** The providers to try, in order. */
export function candidates(wanted: ExecutionProvider, absence: string | undefined): Provider[] {
  if (wanted !== 'auto') return [wanted]
  return absence === undefined ? ['cuda', 'cpu'] : ['cpu']
}
