import { arch, platform } from 'node:process'
import koffi from 'koffi'
import { tryOverLoopback } from './loopback-trial.ts'
import { type NativeUdp, openNativeUdp } from './udp.ts'

/**
 * Undefined on systems other than Linux on x64 and arm64, for which `NativeUdp` has numbers and layouts, and where
 * packets sent this way do not arrive. Tried once.
 */
export function nativeUdp(): NativeUdp | undefined {
  loaded ??= { udp: load() }
  return loaded.udp
}

let loaded: { udp: NativeUdp | undefined } | undefined

function load(): NativeUdp | undefined {
  if (platform !== 'linux' || !(arch === 'x64' || arch === 'arm64')) return
  try {
    const libc = koffi.load(null)
    const udp = openNativeUdp(libc)
    const { packets, segments } = tryOverLoopback(udp, libc)
    udp.segments = segments
    return packets ? udp : undefined
  } catch {
    return
  }
}
