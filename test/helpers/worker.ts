/**
 * Runs before each test file. Files run in parallel, and some check that nothing remains in the temporary folder: each
 * has its own. Processes that they start find compiled code. For a failed test, the errors of its pages are shown.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach } from 'vitest'
import { takePageNotes } from './browser/page-notes.ts'
import { compiledCode } from './server/compiled.ts'

process.env.TEST_KEPT_IN ??= tmpdir()
const folder = mkdtempSync(join(process.env.TEST_KEPT_IN, 'mr-test-'))
process.env.TMPDIR = folder
process.env.NODE_COMPILE_CACHE ??= await compiledCode()
afterAll(() => rmSync(folder, { recursive: true, force: true, maxRetries: 3 }))
afterEach(({ task }) => {
  const notes = takePageNotes()
  if (task.result?.state === 'fail' && notes.length > 0) console.error(['Its pages:', ...notes].join('\n  '))
})
