import { ffmpegPath } from '../binaries.ts'
import { runTool } from '../run-tool.ts'
import { http } from '../server/http.ts'

const [WIDTH, HEIGHT] = [32, 18]

/** The newest frame of a stream in numbers: mean brightness and mean distance from grey, 0 to 255. */
export async function newestFrame(url: string, stream: string): Promise<{ luma: number; chroma: number }> {
  const { status, bytes } = await http('GET', `${url}/out/${stream}.jpg`)
  if (status !== 200) throw new Error(`the newest frame of ${stream}: ${status}`)
  const size = `scale=${WIDTH}:${HEIGHT}:flags=area,format=yuv444p`
  const args = ['-v', 'error', '-i', 'pipe:0', '-vf', size, '-f', 'rawvideo', 'pipe:1']
  const [raw = Buffer.alloc(0)] = await runTool(ffmpegPath(), args, { input: bytes })
  const area = WIDTH * HEIGHT
  const mean = (values: Uint8Array, of: (value: number) => number) =>
    values.reduce((sum, value) => sum + of(value), 0) / values.length
  return {
    luma: mean(raw.subarray(0, area), (value) => value),
    chroma: mean(raw.subarray(area), (value) => Math.abs(value - 128)),
  }
}
