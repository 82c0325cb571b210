import { fileURLToPath } from 'node:url'
import { Child, type Exit } from '../../../src/core/child.ts'
import type { Closed } from '../../../src/core/resource.ts'
import { descendants, isAlive } from '../nothing-left.ts'
import { LogCollector } from './logs.ts'

export type ServerOptions = {
  /** Settings in addition to PORT=0, UDP_PORT=0 and HOST=127.0.0.1. */
  env?: Record<string, string>
  /** Default: this repository's own. */
  cli?: string
  /** Working directory; default: the root of this repository. */
  cwd?: string
  /** In front of the command line, to run it in a network namespace, say. */
  prefix?: readonly string[]
  /** Time limit until it listens; default 60 s. */
  startLimitMs?: number
  /** Gets everything that it prints. */
  onOutput?: (text: string) => void
  /** Between SIGTERM and SIGKILL when stopped; default 15 s. */
  graceMs?: number
}

/** A whole server in its own process. */
export type TestServer = AsyncDisposable & {
  /** Without a trailing slash. */
  readonly url: string
  readonly pid: number
  readonly logs: LogCollector
  readonly closed: Promise<Closed>
  readonly exit: Exit | undefined
  /** SIGTERM; rejects if the server had to be killed, or left processes behind. */
  stop(): Promise<Closed>
}

/** Settings for a test that works with any frames: a quarter of the cost of the 720p test pattern. */
export const SMALL_FRAMES = { MAX_PIXELS: String(640 * 360), MAX_FPS: '20' }

const CLI = fileURLToPath(new URL('../../../src/cli.ts', import.meta.url))
const ROOT = fileURLToPath(new URL('../../..', import.meta.url))

export async function startServer(options: ServerOptions = {}): Promise<TestServer> {
  const { env = {}, cli = CLI, cwd = ROOT, prefix = [], startLimitMs = 60_000, graceMs = 15_000, onOutput } = options
  const [command = process.execPath, ...args] = [...prefix, process.execPath, cli, 'serve']
  const child = await Child.spawn({
    command,
    args,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...withoutOurs(process.env), PORT: '0', UDP_PORT: '0', HOST: '127.0.0.1', ...env },
    cwd,
    graceMs,
  })
  const logs = new LogCollector()
  for (const stream of [child.process.stdout, child.process.stderr]) {
    if (stream) void feedLines(stream.setEncoding('utf8'), logs, onOutput)
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

/** The machine's own settings must not reach a test. */
function withoutOurs(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const ours = ['AUTH_TOKEN', 'VIEW_TOKEN', 'PIPELINE', 'MODEL_ID', 'PIPELINE_PARAMS', 'LOG_LEVEL', 'VERBOSE_LOGGING']
  return Object.fromEntries(Object.entries(env).filter(([name]) => !ours.includes(name)))
}

async function feedLines(
  stream: AsyncIterable<string>,
  logs: LogCollector,
  onOutput: ServerOptions['onOutput'],
): Promise<void> {
  let rest = ''
  for await (const chunk of stream) {
    onOutput?.(chunk)
    const lines = (rest + chunk).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) if (line) logs.feed(line)
  }
  if (rest) logs.feed(rest)
}
