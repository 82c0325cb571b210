import { readdir, readFile } from 'node:fs/promises'
import { Child } from '../../core/child.ts'
import type { Closed, Resource } from '../../core/resource.ts'
import { MARK_VARIABLE } from '../protocol.ts'

/**
 * Reads lines `+ GROUP MARK` and `- GROUP MARK`. At the end of input, when the server ends in whatever way, it kills
 * the remaining groups, and what they started outside their group.
 */
const SCRIPT = `
trap '' INT TERM HUP
groups=''
while read -r op group mark; do
  case $op in
    +) groups="$groups $group:$mark" ;;
    -) rest=''; for one in $groups; do [ "$one" = "$group:$mark" ] || rest="$rest $one"; done; groups=$rest ;;
  esac
done
for one in $groups; do
  kill -s KILL -- "-\${one%%:*}"
  for file in $(grep -ls "${MARK_VARIABLE}=\${one#*:}" /proc/[0-9]*/environ); do
    pid=\${file#/proc/}
    kill -s KILL "\${pid%/environ}"
  done
done 2>/dev/null
exit 0
`

/** Kills runners and their children when the server can no longer do it: a shell that briefly outlives it. */
export class Reaper implements Resource {
  readonly closed: Promise<Closed>
  readonly #child: Child

  private constructor(child: Child) {
    this.#child = child
    this.closed = child.closed
    child.process.stdin?.on('error', () => {})
  }

  static async open(): Promise<Reaper> {
    const stdio = ['pipe', 'ignore', 'ignore'] as ['pipe', 'ignore', 'ignore']
    // In its own group, so that signals to the server's group, as from a terminal, do not end it too early.
    return new Reaper(await Child.spawn({ command: '/bin/sh', args: ['-c', SCRIPT], stdio, group: true }))
  }

  watch(group: number, mark: string): void {
    this.#tell(`+ ${group} ${mark}\n`)
  }

  forget(group: number, mark: string): void {
    this.#tell(`- ${group} ${mark}\n`)
  }

  async close(): Promise<Closed> {
    this.#child.process.stdin?.end()
    return this.closed
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  #tell(line: string): void {
    const stdin = this.#child.process.stdin
    if (stdin?.writable) stdin.write(line)
  }
}

/** Kills what a runner started outside its process group, if the system shows other processes' environment. */
export async function killMarked(mark: string): Promise<void> {
  const pids = await readdir('/proc').catch(() => [])
  for (const pid of pids) {
    if (!/^\d+$/.test(pid)) continue
    const environment = await readFile(`/proc/${pid}/environ`, 'utf8').catch(() => '')
    if (!environment.split('\0').includes(`${MARK_VARIABLE}=${mark}`)) continue
    try {
      process.kill(Number(pid), 'SIGKILL')
    } catch {
      // It ended in between.
    }
  }
}
