import { ffmpegPath } from '../binaries.ts'
import { readMarker } from '../marker.ts'
import { runTool } from '../run-tool.ts'

const FOURCC = { vp8: 'VP80', vp9: 'VP90', av1: 'AV01' }

/** Frames in a file that ffmpeg reads: https://wiki.multimedia.cx/index.php/Duck_IVF. */
function writeIvf(codec: keyof typeof FOURCC, frames: readonly Uint8Array[]): Buffer {
  const header = Buffer.alloc(32)
  header.write(`DKIF\0\0\x20\0${FOURCC[codec]}`, 'latin1')
  header.writeUInt32LE(30, 16)
  header.writeUInt32LE(1, 20)
  const parts = frames.flatMap((frame, i) => {
    const head = Buffer.alloc(12)
    head.writeUInt32LE(frame.length, 0)
    head.writeUInt32LE(i, 4)
    return [head, frame]
  })
  return Buffer.concat([header, ...parts])
}

/** The numbers of the frames that ffmpeg decodes; undefined for a frame without one. */
export async function decodeNumbers(
  codec: keyof typeof FOURCC,
  frames: readonly Uint8Array[],
): Promise<(number | undefined)[]> {
  const [width, height] = [360, 240]
  const args = ['-v', 'error', '-f', 'ivf', '-i', '-', '-vf', `scale=${width}:${height}`, '-fps_mode', 'passthrough']
  const output = [...args, '-pix_fmt', 'gray', '-f', 'rawvideo', '-']
  const [gray] = await runTool(ffmpegPath(), output, { input: writeIvf(codec, frames) })
  const bytes = width * height
  return Array.from({ length: gray!.length / bytes }, (_, i) =>
    readMarker(gray!.subarray(i * bytes, (i + 1) * bytes), width, height),
  )
}
