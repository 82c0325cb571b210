import { execFile } from 'node:child_process'
import { mkdirSync, readdirSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { digest, keptFolder, makeOnce, states } from '../package/kept.ts'
import { startServer } from './server.ts'

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))
const KEEP_MS = 86_400_000
const run = promisify(execFile)

/**
 * A folder for `NODE_COMPILE_CACHE` with the compiled code of a command, a runner and a server. The tests start
 * hundreds of them; each then needs a third less CPU to start.
 */
export async function compiledCode(): Promise<string> {
  const kept = keptFolder('millrace-test-code')
  return makeOnce(join(kept, digest([process.version, ...states(join(ROOT, 'src'))])), async (part) => {
    forgetOld(kept)
    mkdirSync(part)
    const env = { NODE_COMPILE_CACHE: part }
    const measure = [join(ROOT, 'src/cli.ts'), 'measure', 'noop', '--size', '64x64']
    try {
      await run(process.execPath, measure, { env: { ...process.env, ...env }, timeout: 120_000 })
      await using _ = await startServer({ env: { ...env, WARM_PIPELINES: '0' } })
    } catch {
      // The tests themselves report code that does not run.
    }
  })
}

/** Removes the cache of earlier states of the code. */
function forgetOld(kept: string): void {
  for (const path of readdirSync(kept).map((name) => join(kept, name)))
    if (Date.now() - statSync(path).mtimeMs > KEEP_MS) rmSync(path, { recursive: true, force: true })
}
