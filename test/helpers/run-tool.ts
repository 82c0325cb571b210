import { spawn } from 'node:child_process'
import type { Readable } from 'node:stream'
import { TailBuffer } from '../../src/core/child.ts'

export type ToolOptions = {
  /** Written to its stdin. */
  input?: Uint8Array
  /** Number of file descriptors from 3 on that are also read. */
  extraOutputs?: number
  /** Killed after this long; default 60 s. */
  limitMs?: number
}

/** Runs a program to its end and returns its stdout and extra outputs, in that order. */
export async function runTool(command: string, args: string[], options: ToolOptions = {}): Promise<Buffer[]> {
  const { input, extraOutputs = 0, limitMs = 60_000 } = options
  const extra = Array.from({ length: extraOutputs }, () => 'pipe' as const)
  const child = spawn(command, args, { stdio: [input ? 'pipe' : 'ignore', 'pipe', 'pipe', ...extra] })
  const tail = new TailBuffer(20)
  child.stderr?.setEncoding('utf8').on('data', (chunk: string) => tail.push(chunk))
  const timer = setTimeout(() => child.kill('SIGKILL'), limitMs)
  const exited = new Promise<number | null>((resolve, reject) => {
    child.once('close', resolve)
    child.once('error', reject)
  })
  // A program may exit before its input ends.
  child.stdin?.on('error', () => {})
  child.stdin?.end(input)
  try {
    const outputs = [1, ...extra.keys().map((index) => index + 3)].map((fd) => readAll(child.stdio[fd] as Readable))
    const [code, ...bytes] = await Promise.all([exited, ...outputs])
    if (code !== 0) throw new Error(`${command} ended with ${code ?? 'a kill'}: ${tail.lines.join(' | ')}`)
    return bytes
  } finally {
    clearTimeout(timer)
    child.kill('SIGKILL')
  }
}

async function readAll(stream: Readable): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of stream) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}
