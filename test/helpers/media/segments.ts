import { writeFile } from 'node:fs/promises'
import { ffmpegPath } from '../binaries.ts'
import { runTool } from '../run-tool.ts'

/** ffmpeg arguments of a segment: input, filters and encoder. */
export type Segment = string[]

/** A transport stream of consecutive segments, each of `seconds` and encoded separately. */
export async function makeSegments(file: string, seconds: number, segments: readonly Segment[]): Promise<void> {
  const parts = segments.map((_, index) => `${file}.${index}.ts`)
  for (const [index, args] of segments.entries()) {
    const output = ['-t', String(seconds), '-f', 'mpegts', parts[index]!]
    await runTool(ffmpegPath(), ['-v', 'error', '-y', ...args, ...output])
  }
  const list = `${file}.list`
  await writeFile(list, parts.map((part) => `file '${part}'\n`).join(''))
  const joined = ['-f', 'concat', '-safe', '0', '-i', list, '-c', 'copy', '-f', 'mpegts', file]
  await runTool(ffmpegPath(), ['-v', 'error', '-y', ...joined])
}
