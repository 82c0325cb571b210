import { fileURLToPath } from 'node:url'
import { Child, type Exit } from '../../src/core/child.ts'
import type { Closed } from '../../src/core/resource.ts'
import { LogCollector } from './logs.ts'
import { descendants, isAlive } from './nothing-left.ts'

export type ServerOptions = {
  /** Settings beyond PORT=0 and HOST=127.0.0.1. */
  env?: Record<string, string>
  /** Default: this repository's own. */
  cli?: string
  /** Where it is started; default the root of this repository. */
  cwd?: string
  /** Until it says that it listens; default 30 s. */
  startLimitMs?: number
  /** Between SIGTERM and SIGKILL when stopped; default 15 s. */
  graceMs?: number
}

/** The whole server in a process of its own. */
export type TestServer = AsyncDisposable & {
  /** Without a slash at the end. */
  readonly url: string
  readonly pid: number
  readonly logs: LogCollector
  readonly closed: Promise<Closed>
  readonly exit: Exit | undefined
  /** SIGTERM; fails when the server had to be killed, or left processes of its own behind. */
  stop(): Promise<Closed>
}

const CLI = fileURLToPath(new URL('../../src/cli.ts', import.meta.url))
const ROOT = fileURLToPath(new URL('../..', import.meta.url))

export async function startServer(options: ServerOptions = {}): Promise<TestServer> {
  const { env = {}, cli = CLI, cwd = ROOT, startLimitMs = 30_000, graceMs = 15_000 } = options
  const child = await Child.spawn({
    command: process.execPath,
    args: [cli, 'serve'],
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...withoutOurs(process.env), PORT: '0', HOST: '127.0.0.1', ...env },
    cwd,
    graceMs,
  })
  const logs = new LogCollector()
  for (const stream of [child.process.stdout, child.process.stderr]) {
    if (stream) void feedLines(stream.setEncoding('utf8'), logs)
  }
  const died = child.closed.then(() => {
    throw new Error(`the server ended before it listened:\n${logs}`)
  })
  const ready = logs.waitFor((line) => line.msg === 'listening', 'that it listens', startLimitMs)
  try {
    const { url } = (await Promise.race([ready, died])) as unknown as { url: string }
    return handle(child, logs, url.replace(/\/$/, ''))
  } catch (thrown) {
    ready.catch(() => {})
    await child.close()
    throw thrown
  } finally {
    died.catch(() => {})
  }
}

function handle(child: Child, logs: LogCollector, url: string): TestServer {
  const stop = async () => {
    if (child.exit) return child.closed
    const below = descendants(child.pid)
    const closed = await child.close()
    const exit = child.exit as Exit | undefined
    if (exit?.signal === 'SIGKILL') throw new Error(`the server did not end by SIGTERM:\n${logs}`)
    const left = below.filter(({ pid }) => isAlive(pid))
    if (left.length > 0) throw new Error(`the server left behind: ${left.map(({ command }) => command).join('; ')}`)
    return closed
  }
  return {
    url,
    pid: child.pid,
    logs,
    closed: child.closed,
    get exit() {
      return child.exit
    },
    stop,
    [Symbol.asyncDispose]: async () => {
      await stop()
    },
  }
}

/** The machine's settings for the server must not reach a test. */
function withoutOurs(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const ours = ['AUTH_TOKEN', 'VIEW_TOKEN', 'PIPELINE', 'MODEL_ID', 'PIPELINE_PARAMS', 'LOG_LEVEL', 'VERBOSE_LOGGING']
  return Object.fromEntries(Object.entries(env).filter(([name]) => !ours.includes(name)))
}

async function feedLines(stream: AsyncIterable<string>, logs: LogCollector): Promise<void> {
  let rest = ''
  for await (const chunk of stream) {
    const lines = (rest + chunk).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) if (line) logs.feed(line)
  }
  if (rest) logs.feed(rest)
}
