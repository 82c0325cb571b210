// CUDA's driver interface, which needs only NVIDIA's driver: the cost of copying a frame.
import koffi from 'koffi'
import { median } from '../statistics.ts'

export type CopyTimes = {
  /** Between two places in main memory, by the CPU. */
  hostMs: number
  /** To the device and back, from pageable and from pinned memory; undefined without a GPU. */
  pageable?: { toMs: number; fromMs: number }
  pinned?: { toMs: number; fromMs: number }
}

export type Copier = {
  /** Why nothing is copied to a GPU. */
  readonly absence?: string
  measure(bytes: number, rounds: number): CopyTimes
  close(): void
}

type Call = (...args: unknown[]) => number

const SIGNATURES = {
  cuInit: 'int cuInit(unsigned int flags)',
  cuDeviceGet: 'int cuDeviceGet(_Out_ int *device, int ordinal)',
  cuDevicePrimaryCtxRetain: 'int cuDevicePrimaryCtxRetain(_Out_ void **context, int device)',
  cuDevicePrimaryCtxRelease: 'int cuDevicePrimaryCtxRelease_v2(int device)',
  cuCtxSetCurrent: 'int cuCtxSetCurrent(void *context)',
  cuMemAlloc: 'int cuMemAlloc_v2(_Out_ uint64_t *at, size_t bytes)',
  cuMemFree: 'int cuMemFree_v2(uint64_t at)',
  cuMemHostRegister: 'int cuMemHostRegister_v2(void *at, size_t bytes, unsigned int flags)',
  cuMemHostUnregister: 'int cuMemHostUnregister(void *at)',
  cuMemcpyHtoD: 'int cuMemcpyHtoD_v2(uint64_t to, void *from, size_t bytes)',
  cuMemcpyDtoH: 'int cuMemcpyDtoH_v2(void *to, uint64_t from, size_t bytes)',
} as const

type Cuda = Record<keyof typeof SIGNATURES, Call>

/** For the first GPU; without one it measures only the CPU's own copy. */
export function openCopier(library = 'libcuda.so.1'): Copier {
  let cuda: Cuda
  try {
    const driver = koffi.load(library)
    cuda = Object.fromEntries(
      Object.entries(SIGNATURES).map(([name, signature]) => [name, driver.func(signature)]),
    ) as unknown as Cuda
  } catch (thrown) {
    return withoutGpu((thrown as Error).message)
  }
  try {
    return withGpu(cuda)
  } catch (thrown) {
    return withoutGpu((thrown as Error).message)
  }
}

function withoutGpu(absence: string): Copier {
  return { absence, measure: (bytes, rounds) => ({ hostMs: hostCopy(bytes, rounds) }), close() {} }
}

function withGpu(cuda: Cuda): Copier {
  check('cuInit', cuda.cuInit(0))
  const [device, context] = [[0], [null]]
  check('cuDeviceGet', cuda.cuDeviceGet(device, 0))
  check('cuDevicePrimaryCtxRetain', cuda.cuDevicePrimaryCtxRetain(context, device[0]))
  check('cuCtxSetCurrent', cuda.cuCtxSetCurrent(context[0]))
  return {
    measure(bytes, rounds) {
      const at = [0]
      check('cuMemAlloc', cuda.cuMemAlloc(at, bytes))
      const host = Buffer.alloc(bytes, 1)
      const both = () => ({
        toMs: timed(rounds, () => check('cuMemcpyHtoD', cuda.cuMemcpyHtoD(at[0], host, bytes))),
        fromMs: timed(rounds, () => check('cuMemcpyDtoH', cuda.cuMemcpyDtoH(host, at[0], bytes))),
      })
      try {
        const pageable = both()
        check('cuMemHostRegister', cuda.cuMemHostRegister(host, bytes, 0))
        try {
          return { hostMs: hostCopy(bytes, rounds), pageable, pinned: both() }
        } finally {
          cuda.cuMemHostUnregister(host)
        }
      } finally {
        cuda.cuMemFree(at[0])
      }
    },
    close: () => void cuda.cuDevicePrimaryCtxRelease(device[0]),
  }
}

function hostCopy(bytes: number, rounds: number): number {
  const [from, to] = [Buffer.alloc(bytes, 1), Buffer.alloc(bytes, 2)]
  return timed(rounds, () => to.set(from))
}

/** The median. These copies are complete when the call returns. */
function timed(rounds: number, copy: () => void): number {
  return median(
    Array.from({ length: rounds }, () => {
      const began = performance.now()
      copy()
      return performance.now() - began
    }),
  )
}

function check(call: string, result: number): void {
  if (result !== 0) throw new Error(`${call} answered ${result}`)
}
