import { basename } from 'node:path'
import { Child, TailBuffer } from '../../core/child.ts'
import { AppError } from '../../core/errors.ts'
import { type Context, deadline } from '../../core/resource.ts'

export type InstallerOptions = {
  /** The package specs, for the error message. */
  what: string
  command: string
  args: string[]
  cwd?: string
  env?: NodeJS.ProcessEnv
  limitMs: number
  /** Lines that state the error; without one, the last printed line is used. */
  isReason: RegExp
}

/**
 * Runs npm, pip or uv to its end, or until the context's signal aborts; returns the last lines printed. Throws
 * `pipeline-failed` with the tool's error.
 */
export async function runInstaller(options: InstallerOptions, context: Context): Promise<string[]> {
  const { what, command, args, cwd, env, limitMs, isReason } = options
  const child = await Child.spawn({
    command,
    args,
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(cwd && { cwd }),
    ...(env && { env }),
    group: true,
  })
  const said = new TailBuffer(20)
  for (const stream of [child.process.stdout, child.process.stderr])
    stream?.setEncoding('utf8').on('data', (chunk: string) => said.push(chunk))
  const stop = () => void child.close()
  context.signal?.addEventListener('abort', stop, { once: true })
  try {
    const { why } = await deadline(child.closed, limitMs, `installing ${what}`)
    if (why === 'ended') return said.lines
    const reason = said.lines.filter((line) => isReason.test(line)).join(' ') || said.lines.at(-1)
    const message = `could not install ${what}: ${reason ?? `${basename(command)} failed`}`
    throw new AppError('pipeline-failed', message, { details: { lines: said.lines } })
  } finally {
    context.signal?.removeEventListener('abort', stop)
    await child.close()
  }
}
