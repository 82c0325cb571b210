import { enableCompileCache, flushCompileCache } from 'node:module'
import { homedir } from 'node:os'
import { join } from 'node:path'

/**
 * Caches the compiled code of everything loaded from now on, here and in pipeline processes, which saves a quarter of a
 * server's start and half of theirs. The cache is in the user's own folder, `$XDG_CACHE_HOME/millrace` or
 * `~/.cache/millrace`: in a shared one another user could plant code. `NODE_COMPILE_CACHE` names another folder,
 * `NODE_DISABLE_COMPILE_CACHE=1` turns it off. Where no folder can be written, nothing is cached.
 */
export function keepCompiledCode(environment: NodeJS.ProcessEnv = process.env): void {
  environment.NODE_COMPILE_CACHE ||= join(
    environment.XDG_CACHE_HOME || join(homedir(), '.cache'),
    'millrace',
    'compiled',
  )
  enableCompileCache(environment.NODE_COMPILE_CACHE)
  // Node writes it during its own exit, which a server does not wait for, see `exitProcess`.
  process.on('exit', () => flushCompileCache())
}
