/** Node writes the compile cache only on a normal exit; a server exits faster, see src/exit.ts. */
import { flushCompileCache } from 'node:module'

process.on('exit', flushCompileCache)
