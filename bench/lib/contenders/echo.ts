import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { Child } from '../../../src/core/child.ts'
import { deadline } from '../../../src/core/resource.ts'

const PROGRAM = fileURLToPath(new URL('./rtc-echo.ts', import.meta.url))

export type Echo = AsyncDisposable & { readonly url: string; readonly pid: number }

/** Starts the plain werift echo server in its own process. */
export async function openEcho(): Promise<Echo> {
  const child = await Child.spawn({
    command: process.execPath,
    args: [PROGRAM],
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
  })
  const [line] = (await deadline(once(child.process.stdout!, 'data'), 20_000, 'the start of the echo')) as [Buffer]
  return {
    url: String(line).trim(),
    pid: child.pid,
    [Symbol.asyncDispose]: async () => {
      await child.close()
    },
  }
}
