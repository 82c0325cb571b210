// What processes cost, from Linux's /proc (proc_pid_stat(5)).
import { readdirSync, readFileSync } from 'node:fs'

type Stat = { pid: number; parent: number; ownMs: number; reapedMs: number; rssBytes: number; threads: number }

/** USER_HZ, which is 100 wherever Linux runs. */
const TICK_MS = 10
const PAGE_BYTES = 4096

function readStat(pid: number): Stat | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The command stands in brackets and may hold anything; the fields behind it count from the third.
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

/** A process and everything below it, now. */
export function processTree(root: number): Stat[] {
  const all = readdirSync('/proc').flatMap((name) => (/^\d+$/.test(name) ? (readStat(Number(name)) ?? []) : []))
  const children = Map.groupBy(all, ({ parent }) => parent)
  const below = (pid: number): Stat[] => (children.get(pid) ?? []).flatMap((child) => [child, ...below(child.pid)])
  return [...all.filter(({ pid }) => pid === root), ...below(root)]
}

/** Processor time of a whole tree in milliseconds, of those too that ended in it. Good to 10 ms a process. */
export function treeCpuMs(root: number): number {
  return processTree(root).reduce((sum, { ownMs, reapedMs }) => sum + ownMs + reapedMs, 0)
}

/** Processor time of one process in milliseconds; 0 when it is gone. */
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

/** Memory and handles of a process, and how much lives below it. */
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

/** Time that all processors of the machine spent, in milliseconds; stolen is what a hypervisor gave to others. */
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
