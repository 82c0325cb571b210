import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { isAlive } from '../nothing-left.ts'

const MADE = ['node_modules', '__pycache__', '.pytest_cache', '.mypy_cache', '.ruff_cache']

/** A folder for expensive results that are the same for every test, kept between runs. */
export function keptFolder(name: string): string {
  // A test file has its own temporary folder (worker.ts); this one is shared.
  const folder = join(process.env.TEST_KEPT_IN ?? tmpdir(), name)
  mkdirSync(folder, { recursive: true })
  return folder
}

/**
 * Returns `path` once it exists. If it does not, `make` writes the file or folder `part`, which is then renamed to
 * `path`. If several test files ask at once, one makes it and the others wait: two builds of this repository would
 * share one `dist`.
 */
export async function makeOnce(path: string, make: (part: string) => Promise<unknown>): Promise<string> {
  const lock = `${path}.lock`
  // Keeps the extension, from which ffmpeg takes the format.
  const part = join(dirname(path), `part-${process.pid}-${basename(path)}`)
  while (!existsSync(path)) {
    if (!take(lock)) {
      await sleep(100)
      continue
    }
    try {
      if (existsSync(path)) break
      await make(part)
      renameSync(part, path)
    } finally {
      rmSync(part, { recursive: true, force: true })
      rmSync(lock, { force: true })
    }
  }
  return path
}

/** Whether this process has the lock now. The lock of a killed process is removed. */
function take(lock: string): boolean {
  try {
    writeFileSync(lock, String(process.pid), { flag: 'wx' })
    return true
  } catch {
    try {
      const owner = Number(readFileSync(lock, 'utf8'))
      if (owner && !isAlive(owner)) rmSync(lock, { force: true })
    } catch {
      // Released meanwhile.
    }
    return false
  }
}

/** Each file below `path` with its modification time, without generated files. */
export function states(path: string): string[] {
  if (!statSync(path).isDirectory()) return [`${path} ${statSync(path).mtimeMs}`]
  return readdirSync(path)
    .sort()
    .flatMap((name) => (MADE.includes(name) ? [] : states(join(path, name))))
}

export function digest(parts: (string | Uint8Array)[]): string {
  const hash = createHash('sha256')
  for (const part of parts) hash.update(part).update('\0')
  return hash.digest('hex').slice(0, 16)
}
