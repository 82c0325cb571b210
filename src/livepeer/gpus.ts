import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { nowMs } from '../core/clock.ts'

/** One GPU as reported by `nvidia-smi`; sizes in bytes, utilization in percent. */
export type Gpu = {
  index: string
  id: string
  name: string
  memoryTotal: number
  memoryFree: number
  major: number
  minor: number
  utilizationCompute: number
  utilizationMemory: number
}

const FIELDS = 'index,uuid,name,memory.total,memory.free,compute_cap,utilization.gpu,utilization.memory'
const QUERY = [`--query-gpu=${FIELDS}`, '--format=csv,noheader,nounits']
const TIMEOUT_MS = 5000
/** The tool runs at most once per interval, however many requests come. */
const KEPT_MS = 1000
const MEBIBYTE = 2 ** 20

const run = promisify(execFile)

/** The machine's GPUs. */
export class Gpus {
  readonly #command: string
  #asked: { at: number; gpus: Promise<Gpu[]> } | undefined
  #absent = false

  constructor(command = 'nvidia-smi') {
    this.#command = command
  }

  /** Empty without NVIDIA's driver, or if its tool fails. */
  async list(): Promise<Gpu[]> {
    if (this.#absent) return []
    if (!this.#asked || nowMs() - this.#asked.at > KEPT_MS) this.#asked = { at: nowMs(), gpus: this.#ask() }
    return await this.#asked.gpus
  }

  async #ask(): Promise<Gpu[]> {
    try {
      const { stdout } = await run(this.#command, QUERY, { timeout: TIMEOUT_MS, killSignal: 'SIGKILL' })
      return parseGpus(stdout)
    } catch (thrown) {
      this.#absent = (thrown as NodeJS.ErrnoException).code === 'ENOENT'
      return []
    }
  }
}

/** Parses the answer to the query above; a value that the GPU does not report is 0. */
export function parseGpus(csv: string): Gpu[] {
  return csv
    .split('\n')
    .map((line) => line.split(',').map((value) => value.trim()))
    .filter((values) => values.length === FIELDS.split(',').length)
    .map(([index = '', id = '', name = '', total, free, capability = '', compute, memory]) => {
      const [major, minor] = capability.split('.')
      return {
        index,
        id,
        name,
        memoryTotal: numberOf(total) * MEBIBYTE,
        memoryFree: numberOf(free) * MEBIBYTE,
        major: numberOf(major),
        minor: numberOf(minor),
        utilizationCompute: numberOf(compute),
        utilizationMemory: numberOf(memory),
      }
    })
}

function numberOf(text: string | undefined): number {
  const value = Number.parseFloat(text ?? '')
  return Number.isFinite(value) ? value : 0
}
