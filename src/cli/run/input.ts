import { mkdtempSync, readdirSync, rmSync, type Stats, statSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { extname, join, resolve } from 'node:path'
import { AppError } from '../../core/errors.ts'

export type Part = { start?: number | undefined; duration?: number | undefined }

/** The input: ffmpeg's arguments up to and including `-i`, and the position of its first frame. */
export type RunInput = {
  args: readonly string[]
  /** Seconds from the start of the input to the first frame. */
  from: number
  /** Number of frames, if known. */
  frames?: number
  /** Frames per second, if the input does not state them. */
  fps?: number
  hasAudio: boolean
} & Disposable

const IMAGES = ['.png', '.jpg', '.jpeg', '.webp', '.bmp', '.tif', '.tiff']

/** A file, or a folder of images in the order of their names. @throws AppError `invalid-request` */
export function openInput(path: string, part: Part, fps: number): RunInput {
  return checkInput(path).isDirectory() ? openFolder(path, part, fps) : openFile(path, part)
}

/** @throws AppError `invalid-request` */
export function checkInput(path: string): Stats {
  const kind = statSync(path, { throwIfNoEntry: false })
  if (kind) return kind
  throw new AppError('invalid-request', `INPUT ${path} is not there; accepted are a file and a folder of images`)
}

function openFile(path: string, { start, duration }: Part): RunInput {
  const args = [
    ...(start === undefined ? [] : ['-ss', String(start)]),
    ...(duration === undefined ? [] : ['-t', String(duration)]),
    // Never a protocol or an option, whatever the name.
    ...['-i', `file:${resolve(path)}`],
  ]
  return { args, from: start ?? 0, hasAudio: true, [Symbol.dispose]: () => {} }
}

function openFolder(path: string, { start = 0, duration = Number.POSITIVE_INFINITY }: Part, fps: number): RunInput {
  const order = new Intl.Collator('en', { numeric: true })
  const all = readdirSync(path, { withFileTypes: true })
    .filter((entry) => !entry.isDirectory() && !entry.name.startsWith('.'))
    .map(({ name }) => name)
    .filter((name) => IMAGES.includes(extname(name).toLowerCase()))
  const endings = new Set(all.map((name) => extname(name).toLowerCase().replace('jpeg', 'jpg').replace('tiff', 'tif')))
  if (endings.size === 0)
    throw new AppError('invalid-request', `INPUT ${path} holds no images; accepted are ${IMAGES.join(', ')}`)
  if (endings.size > 1)
    throw new AppError(
      'invalid-request',
      `INPUT ${path} holds images of several kinds (${[...endings].join(', ')}); accepted is one`,
    )
  const first = Math.ceil(start * fps - 1e-6)
  const names = all.sort(order.compare).slice(first, Math.ceil(first + duration * fps - 1e-6))
  if (names.length === 0)
    throw new AppError('invalid-request', `INPUT ${path} has ${all.length} images, none at --start ${start}`)
  // ffmpeg takes only consecutively numbered names.
  const folder = mkdtempSync(join(tmpdir(), 'millrace-run-'))
  const ending = [...endings][0]!
  for (const [index, name] of names.entries())
    symlinkSync(resolve(path, name), join(folder, `${String(index).padStart(8, '0')}${ending}`))
  return {
    args: ['-f', 'image2', '-framerate', String(fps), '-start_number', '0', '-i', join(folder, `%08d${ending}`)],
    from: first / fps,
    frames: names.length,
    fps,
    hasAudio: false,
    [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }),
  }
}
