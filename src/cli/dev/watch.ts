import { statSync } from 'node:fs'
import { extname, join, relative, sep } from 'node:path'
import { watch } from 'chokidar'

/** Extensions of code and of files that code reads when it loads; not of files that pipelines write. */
const CODE = new Set(
  'ts mts cts tsx js mjs cjs jsx json py pyi toml yaml yml wasm wgsl glsl onnx'.split(' ').map((name) => `.${name}`),
)
const LEFT_OUT = new Set(['node_modules', '__pycache__', 'models', 'venv', 'coverage'])
/** Editors write a file in several steps, and "save all" several files. */
const SETTLE_MS = 60

/**
 * Calls `onSaved` with the saved files, relative to `folder`; resolves when it is watching. Returns a function that
 * stops it.
 */
export async function watchCode(folder: string, onSaved: (files: string[]) => void): Promise<() => Promise<void>> {
  const saved = new Set<string>()
  const known = new Map<string, string>()
  const isNew = (file: string) => {
    const stats = statSync(join(folder, file), { throwIfNoEntry: false })
    const state = stats ? `${stats.mtimeMs} ${stats.size}` : 'gone'
    if (known.get(file) === state) return false
    known.set(file, state)
    return true
  }
  let settle: NodeJS.Timeout | undefined
  const watcher = watch(folder, {
    ignoreInitial: true,
    ignored: (path, stats) => {
      const parts = relative(folder, path).split(sep)
      if (
        parts.some(
          (part) => LEFT_OUT.has(part) || (part.startsWith('.') && part.length > 1) || part.endsWith('.egg-info'),
        )
      )
        return true
      return stats?.isFile() === true && !CODE.has(extname(path))
    },
  })
  watcher.on('all', (event, path) => {
    if (event === 'addDir' || event === 'unlinkDir') return
    saved.add(relative(folder, path))
    clearTimeout(settle)
    settle = setTimeout(() => {
      // One save may be reported several times.
      const files = [...saved].filter(isNew)
      saved.clear()
      if (files.length > 0) onSaved(files)
    }, SETTLE_MS)
  })
  await new Promise<void>((resolve, reject) => {
    watcher.once('ready', () => resolve())
    watcher.once('error', reject)
  })
  return async () => {
    clearTimeout(settle)
    await watcher.close()
  }
}
