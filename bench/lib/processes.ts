// Process costs, from Linux's /proc (proc_pid_stat(5)).
import { readdirSync, readFileSync } from 'node:fs'

type Stat = { pid: number; parent: number; ownMs: number; reapedMs: number; rssBytes: number; threads: number }

/** USER_HZ, which is 100 on all Linux systems. */
const TICK_MS = 10
const PAGE_BYTES = 4096

function readStat(pid: number): Stat | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The command is in brackets and may contain anything; the fields after it count from the third.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
    const at = (field: number) => Number(fields[field - 3])
    return {
      pid,
      parent: at(4),
      ownMs: (at(14) + at(15)) * TICK_MS,
      reapedMs: (at(16) + at(17)) * TICK_MS,
      rssBytes: at(24) * PAGE_BYTES,
      threads: at(20),
    }
  } catch {
    return undefined
  }
}

/** A process and its descendants, now. */
function processTree(root: number): Stat[] {
  const all = readdirSync('/proc').flatMap((name) => (/^\d+$/.test(name) ? (readStat(Number(name)) ?? []) : []))
  const children = Map.groupBy(all, ({ parent }) => parent)
  const below = (pid: number): Stat[] => (children.get(pid) ?? []).flatMap((child) => [child, ...below(child.pid)])
  return [...all.filter(({ pid }) => pid === root), ...below(root)]
}

/** CPU time of a whole tree in milliseconds, including ended processes. Accurate to 10 ms per process. */
export function treeCpuMs(root: number): number {
  return processTree(root).reduce((sum, { ownMs, reapedMs }) => sum + ownMs + reapedMs, 0)
}

/** CPU time of one process in milliseconds; 0 if it is gone. */
export function cpuMs(pid: number): number {
  return readStat(pid)?.ownMs ?? 0
}

export type Footprint = {
  rssBytes: number
  treeRssBytes: number
  descriptors: number
  threads: number
  children: number
}

/** The parts of a process's resident memory (proc_pid_status(5)), in bytes. */
export type ResidentMemory = { anonBytes: number; fileBytes: number; sharedBytes: number }

export function residentMemory(pid: number): ResidentMemory {
  let status = ''
  try {
    status = readFileSync(`/proc/${pid}/status`, 'utf8')
  } catch {
    // It is gone, and has none.
  }
  const bytes = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1] ?? 0) * 1024
  return { anonBytes: bytes('RssAnon'), fileBytes: bytes('RssFile'), sharedBytes: bytes('RssShmem') }
}

/** Memory and handles of a process, and the number of its descendants. */
export function footprint(pid: number): Footprint {
  const tree = processTree(pid)
  const own = tree.find((stat) => stat.pid === pid)
  return {
    rssBytes: own?.rssBytes ?? 0,
    treeRssBytes: tree.reduce((sum, { rssBytes }) => sum + rssBytes, 0),
    descriptors: count(`/proc/${pid}/fd`),
    threads: own?.threads ?? 0,
    children: Math.max(0, tree.length - 1),
  }
}

function count(folder: string): number {
  try {
    return readdirSync(folder).length
  } catch {
    return 0
  }
}

/** Time of all CPUs of the machine, in milliseconds; stolen is what a hypervisor gave to others. */
export function machineTime(): { busyMs: number; stolenMs: number; totalMs: number } {
  const line = readFileSync('/proc/stat', 'utf8').split('\n')[0] ?? ''
  const [user = 0, nice = 0, system = 0, idle = 0, wait = 0, irq = 0, soft = 0, steal = 0] = line
    .trim()
    .split(/\s+/)
    .slice(1)
    .map((ticks) => Number(ticks) * TICK_MS)
  const busyMs = user + nice + system + irq + soft
  return { busyMs, stolenMs: steal, totalMs: busyMs + steal + idle + wait }
}
