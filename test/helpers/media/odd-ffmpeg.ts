import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ffmpegPath } from '../binaries.ts'

/** A `FFMPEG_PATH` that runs the real ffmpeg, except for what a test breaks. */
export type OddFfmpeg = AsyncDisposable & {
  readonly path: string
  /** From now on, and until `mend`, `$broken` exists. */
  break(): Promise<void>
  mend(): Promise<void>
}

/** `script` is run by sh before the real ffmpeg, which is `$real`; `$broken` is a file name. */
export async function oddFfmpeg(script: string): Promise<OddFfmpeg> {
  const folder = await mkdtemp(join(tmpdir(), 'mr-ffmpeg-'))
  const [path, broken] = [join(folder, 'ffmpeg'), join(folder, 'broken')]
  await writeFile(path, `#!/bin/sh\nreal='${ffmpegPath()}'\nbroken='${broken}'\n${script}\nexec "$real" "$@"\n`)
  await chmod(path, 0o755)
  return {
    path,
    break: () => writeFile(broken, ''),
    mend: () => rm(broken),
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  }
}
