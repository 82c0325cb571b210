import { fileURLToPath } from 'node:url'
import { Child } from '../../../src/core/child.ts'
import { LogCollector } from '../server/logs.ts'
import type { LiveKitServer } from './server.ts'

const CLI = fileURLToPath(new URL('../../../src/cli.ts', import.meta.url))
const LIMIT_MS = 60_000

/** `millrace dispatch` in its own process, which gets LiveKit's webhooks. */
export type TestDispatcher = AsyncDisposable & {
  readonly url: string
  readonly pid: number
  readonly logs: LogCollector
  readonly child: Child
}

export async function startDispatch(
  livekit: LiveKitServer,
  servers: readonly string[],
  env: Record<string, string> = {},
): Promise<TestDispatcher> {
  const child = await Child.spawn({
    command: process.execPath,
    args: [CLI, 'dispatch'],
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      ...process.env,
      LOG_LEVEL: 'info',
      ...livekit.env,
      PORT: '0',
      HOST: '127.0.0.1',
      MILLRACE_SERVERS: servers.join(),
      ...env,
    },
  })
  const logs = new LogCollector()
  for (const stream of [child.process.stdout, child.process.stderr]) {
    let rest = ''
    stream?.setEncoding('utf8').on('data', (text: string) => {
      const lines = (rest + text).split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) if (line) logs.feed(line)
    })
  }
  const died = child.closed.then(() => {
    throw new Error(`the dispatcher ended before it listened:\n${logs}`)
  })
  died.catch(() => {})
  const ready = logs.waitFor(({ msg }) => msg === 'dispatching', 'that it listens', LIMIT_MS)
  ready.catch(() => {})
  const { url } = (await Promise.race([ready, died])) as unknown as { url: string }
  const hook = `${url}/livekit/webhook`
  livekit.webhookUrls = [...livekit.webhookUrls, hook]
  return {
    ...{ url, pid: child.pid, logs, child },
    [Symbol.asyncDispose]: async () => {
      livekit.webhookUrls = livekit.webhookUrls.filter((one) => one !== hook)
      child.process.kill('SIGCONT')
      await child.close()
    },
  }
}
