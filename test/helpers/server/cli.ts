import { type ChildProcess, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const CLI = fileURLToPath(new URL('../../../src/cli.ts', import.meta.url))
const LIMIT_MS = 120_000

export type CliOptions = {
  cwd?: string
  /** Settings; those of this machine are removed. */
  settings?: Record<string, string>
  /** Arguments for node, before the program. */
  nodeArgs?: string[]
  /** Called with each JSON line on stdout. */
  onEvent?: (event: Record<string, unknown>, child: ChildProcess) => void
}

export type CliResult = { code: number | null; stdout: string; stderr: string; events: Record<string, unknown>[] }

/** Runs `millrace` to its end. Kills it and rejects after two minutes. */
export async function millraceCli(args: string[], options: CliOptions = {}): Promise<CliResult> {
  const { cwd, settings = {}, nodeArgs = [], onEvent } = options
  const { PATH, HOME, TMPDIR, NODE_COMPILE_CACHE } = process.env
  const env = { PATH, HOME, TMPDIR, NODE_COMPILE_CACHE, ...settings }
  const child = spawn(process.execPath, [...nodeArgs, CLI, ...args], { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] })
  let [stdout, stderr, line] = ['', '', '']
  const events: Record<string, unknown>[] = []
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
  })
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
    const lines = (line + text).split('\n')
    line = lines.pop() ?? ''
    for (const one of lines.filter((one) => one.startsWith('{"'))) {
      const event = JSON.parse(one) as Record<string, unknown>
      events.push(event)
      onEvent?.(event, child)
    }
  })
  let late = false
  const timer = setTimeout(() => {
    late = true
    child.kill('SIGKILL')
  }, LIMIT_MS)
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('close', resolve)
    child.once('error', reject)
  })
  clearTimeout(timer)
  if (late) throw new Error(`millrace ${args.join(' ')} did not end: ${stderr || stdout}`)
  return { code, stdout, stderr, events }
}
