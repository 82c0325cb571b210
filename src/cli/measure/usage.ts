// Resources of a process and its descendants, from Linux's /proc (proc_pid_stat(5), proc_pid_status(5)).
import { execFile } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { promisify } from 'node:util'

export type Usage = {
  /** CPU time so far, accurate to 10 ms per process; absent if the system does not report it. */
  cpuMs?: number
  /** Private memory, without what they share with this process. */
  memoryBytes?: number
  /** Over all GPUs; absent without `nvidia-smi`, or if it does not list these processes. */
  gpuMemoryBytes?: number
}

type Stat = { pid: number; parent: number; cpuMs: number }

/** USER_HZ, which is 100 on all Linux systems. */
const TICK_MS = 10
const KIBIBYTE = 1024
const MEBIBYTE = 2 ** 20
const SMI_MS = 10_000
const APPS = ['--query-compute-apps=pid,used_memory', '--format=csv,noheader,nounits']

/** Of several processes together, each with its descendants. */
export async function usageOf(roots: readonly number[]): Promise<Usage> {
  const tree = process.platform === 'linux' ? roots.flatMap(treeOf) : []
  const pids = tree.length > 0 ? tree.map(({ pid }) => pid) : roots
  const gpuMemoryBytes = await gpuMemory(pids)
  return {
    ...(tree.length > 0 && {
      cpuMs: tree.reduce((sum, { cpuMs }) => sum + cpuMs, 0),
      memoryBytes: pids.reduce((sum, pid) => sum + ownMemory(pid), 0),
    }),
    ...(gpuMemoryBytes !== undefined && { gpuMemoryBytes }),
  }
}

/** The process and its descendants; empty if it is gone. */
function treeOf(root: number): Stat[] {
  const all = readdirSync('/proc').flatMap((name) => (/^\d+$/.test(name) ? (readStat(Number(name)) ?? []) : []))
  const children = Map.groupBy(all, ({ parent }) => parent)
  const below = (pid: number): Stat[] => (children.get(pid) ?? []).flatMap((child) => [child, ...below(child.pid)])
  return [...all.filter(({ pid }) => pid === root), ...below(root)]
}

function readStat(pid: number): Stat | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The command is in brackets and may contain anything; the fields after it count from the third.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
    const at = (field: number) => Number(fields[field - 3])
    // Includes children that have ended.
    return { pid, parent: at(4), cpuMs: (at(14) + at(15) + at(16) + at(17)) * TICK_MS }
  } catch {
    return undefined
  }
}

function ownMemory(pid: number): number {
  try {
    const kilobytes = /^RssAnon:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
    return Number(kilobytes ?? 0) * KIBIBYTE
  } catch {
    return 0
  }
}

async function gpuMemory(pids: readonly number[]): Promise<number | undefined> {
  const { stdout } = await promisify(execFile)('nvidia-smi', APPS, { timeout: SMI_MS }).catch(() => ({ stdout: '' }))
  return gpuMemoryOf(stdout, pids)
}

/** Parses lines of `PID, MEBIBYTES`; a process that uses several GPUs has several. */
export function gpuMemoryOf(text: string, pids: readonly number[]): number | undefined {
  const used = [...text.matchAll(/^(\d+), *(\d+)\s*$/gm)].filter(([, pid]) => pids.includes(Number(pid)))
  return used.length === 0 ? undefined : used.reduce((sum, [, , mebibytes]) => sum + Number(mebibytes) * MEBIBYTE, 0)
}
