import { accessSync, constants, existsSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { systemSupport } from '../core/system.ts'
import { createSharedFile, mapSharedFile } from '../pipeline/ring/shared-memory.ts'
import { type Finding, fine, missing, warn } from './finding.ts'

const NODE_MAJOR = 24

export function checkNode(version = process.versions.node): Finding {
  if (Number(version.split('.', 1)[0]) >= NODE_MAJOR) return fine('Node', version)
  return missing('Node', `${version}; Millrace needs ${NODE_MAJOR} or newer`, 'install Node 24, or run by npm scripts')
}

export function checkSystem(platform = process.platform): Finding {
  const { state, sentence } = systemSupport(platform)
  if (state === 'tested') return fine('System', sentence)
  const mend = 'run it on Linux, in WSL2 or in Docker'
  return state === 'untested' ? warn('System', sentence, mend) : missing('System', sentence, mend)
}

/** Maps memory twice, as the server and a pipeline do, and checks that both see the same data. */
export function checkSharedMemory(): Finding {
  const bytes = 65_536
  try {
    const fd = createSharedFile(bytes)
    const [ours, theirs] = [mapSharedFile(fd, bytes), mapSharedFile(fd, bytes)]
    try {
      new Uint8Array(ours.buffer)[bytes - 1] = 42
      if (new Uint8Array(theirs.buffer)[bytes - 1] === 42) return fine('Shared memory', 'processes can share frames')
    } finally {
      ours.unmap()
      theirs.unmap()
    }
    return missing('Shared memory', 'two mappings of one file differ', 'run on Linux or macOS, on a local file system')
  } catch (thrown) {
    return missing(
      'Shared memory',
      (thrown as Error).message,
      'install the npm package koffi for this platform, and allow memfd_create where a sandbox forbids it',
    )
  }
}

export function checkModelDir(directory: string): Finding {
  // If the folder does not exist yet, the nearest existing one is checked.
  let nearest = directory
  while (!existsSync(nearest) && dirname(nearest) !== nearest) nearest = dirname(nearest)
  try {
    accessSync(nearest, constants.W_OK)
    if (!statSync(nearest).isDirectory()) throw new Error('not a folder')
    return fine('Model folder', directory)
  } catch {
    return warn(
      'Model folder',
      `${nearest} cannot be written to`,
      'set MODEL_DIR to a writable folder, or copy the models there',
    )
  }
}
