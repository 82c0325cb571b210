#!/usr/bin/env node
import { keepCompiledCode } from './cli/compile-cache.ts'

// Imports are compiled before the code of a module runs: the program is loaded once the cache is there.
keepCompiledCode()
await import('./cli/program.ts')
