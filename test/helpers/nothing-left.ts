import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { inspect } from 'node:util'
import { TimerWatch } from './timer-watch.ts'

/** Handles opened by a test. Others (file reads, the test runner's channel) come and go. */
const HANDLES = ['TCPSocketWrap', 'TCPServerWrap', 'UDPWrap', 'ProcessWrap', 'PipeWrap', 'Worker']

/** Other resources that keep a process alive or outlive it. */
export type Leftovers = {
  /** Command lines of descendant processes, including zombies. */
  children: string[]
  /** `tcp 127.0.0.1:8000` for each listening socket, `udp …` for each bound one. */
  sockets: string[]
  /** Node's active handles that keep a process alive, by kind; timers are tracked by `TimerWatch`. */
  handles: string[]
  /** Open or mapped shared-memory files, and our files in temporary folders. */
  files: string[]
}

/**
 * Call before opening things. The returned function, to be called once, fails unless everything opened since is gone
 * within `limitMs`: processes, listening sockets, timers and other handles, shared-memory and temporary files.
 */
export function nothingLeft(): (limitMs?: number) => Promise<void> {
  const timers = new TimerWatch()
  const before = look()
  return async (limitMs = 5000) => {
    if (timers.stopped) throw new Error('this watch has ended; call nothingLeft() again before opening more')
    const end = performance.now() + limitMs
    for (;;) {
      const left = { ...added(before, look()), timers: timers.running() }
      const clean = Object.values(left).every((list) => list.length === 0)
      if (clean || performance.now() > end) timers.stop()
      if (clean) return
      if (timers.stopped) throw new Error(`left behind after ${limitMs} ms: ${inspect(left, { depth: 3 })}`)
      await sleep(50)
    }
  }
}

/** Current resources. Linux only: elsewhere only handles are seen. */
export function look(): Leftovers {
  const linux = process.platform === 'linux'
  return {
    children: linux ? descendants(process.pid).map(({ pid, command }) => `${pid} ${command}`) : [],
    sockets: linux ? socketsOf(process.pid) : [],
    handles: process.getActiveResourcesInfo().filter((kind) => HANDLES.includes(kind)),
    files: linux ? [...sharedMemoryOf(process.pid), ...temporaryFiles()] : [],
  }
}

/** What `now` has in addition to `before`; lists are compared as multisets. */
function added(before: Leftovers, now: Leftovers): Leftovers {
  const beyond = (old: string[], fresh: string[]): string[] => {
    const rest = [...old]
    return fresh.filter((item) => {
      const at = rest.indexOf(item)
      if (at < 0) return true
      rest.splice(at, 1)
      return false
    })
  }
  return {
    children: beyond(before.children, now.children),
    sockets: beyond(before.sockets, now.sockets),
    handles: beyond(before.handles, now.handles),
    files: beyond(before.files, now.files),
  }
}

/** All descendants of `pid`. */
export function descendants(pid: number): { pid: number; command: string }[] {
  const all = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      const stat = read(`/proc/${name}/stat`)
      // The command is in brackets and may contain anything, including brackets.
      const parent = Number(stat?.slice(stat.lastIndexOf(')') + 2).split(' ')[1])
      return stat ? [{ pid: Number(name), parent }] : []
    })
  const below = (parent: number): number[] =>
    all.filter((one) => one.parent === parent).flatMap((one) => [one.pid, ...below(one.pid)])
  return below(pid).map((child) => ({
    pid: child,
    command: read(`/proc/${child}/cmdline`)?.replaceAll('\0', ' ').trim().slice(0, 200) || '(ended, not yet reaped)',
  }))
}

export function isAlive(pid: number): boolean {
  const stat = read(`/proc/${pid}/stat`)
  return stat !== undefined && stat.slice(stat.lastIndexOf(')') + 2, stat.lastIndexOf(')') + 3) !== 'Z'
}

/** Listening TCP sockets and bound UDP sockets of a process. */
export function socketsOf(pid: number): string[] {
  const inodes = new Set(links(pid).flatMap((link) => /^socket:\[(\d+)\]$/.exec(link)?.[1] ?? []))
  return ['tcp', 'tcp6', 'udp', 'udp6'].flatMap((table) =>
    (read(`/proc/${pid}/net/${table}`) ?? '')
      .split('\n')
      .slice(1)
      .map((line) => line.trim().split(/\s+/))
      .filter((fields) => inodes.has(fields[9] ?? '') && (table.startsWith('udp') || fields[3] === '0A'))
      .map((fields) => `${table} port ${Number.parseInt(fields[1]?.split(':')[1] ?? '0', 16)}`),
  )
}

/** Shared-memory files that a process has open or mapped. */
export function sharedMemoryOf(pid: number): string[] {
  const isShared = (name: string) => name.startsWith('/memfd:') || name.startsWith('/dev/shm/')
  const mapped = (read(`/proc/${pid}/maps`) ?? '')
    .split('\n')
    .map((line) => line.split(/\s+/).slice(5).join(' '))
    .filter(isShared)
  return [...new Set([...links(pid).filter(isShared), ...mapped])]
}

/** Our files in temporary folders, except cached clips. */
export function temporaryFiles(): string[] {
  return [...new Set([tmpdir(), '/dev/shm'])].flatMap((folder) =>
    (list(folder) ?? [])
      .filter((name) => name.includes('millrace') && name !== 'millrace-test-clips')
      .map((name) => `${folder}/${name}`),
  )
}

function links(pid: number): string[] {
  return (list(`/proc/${pid}/fd`) ?? []).flatMap((fd) => {
    try {
      return [readlinkSync(`/proc/${pid}/fd/${fd}`)]
    } catch {
      return []
    }
  })
}

function list(folder: string): string[] | undefined {
  try {
    return readdirSync(folder)
  } catch {
    return undefined
  }
}

function read(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return undefined
  }
}
