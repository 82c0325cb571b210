import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { codeFrame, placeIn } from '../../../src/cli/dev/code-place.ts'

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'mr-place-'))
  mkdirSync(join(folder, 'node_modules/lib'), { recursive: true })
  writeFileSync(
    join(folder, 'a.ts'),
    "import { b } from './b.ts'\n\nexport function load() {\n\tthrow new Error(b)\n}\n",
  )
  writeFileSync(join(folder, 'node_modules/lib/index.js'), 'throw 1\n')
  writeFileSync(join(folder, 'a.py'), 'import os\n\ndef load():\n    return os.nothing\n')
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

describe('the position of an error in the code of the author', () => {
  it.each([
    [
      'a call in the middle of those of others',
      (at: string) =>
        `Error: x\n    at lib (file://${at}/node_modules/lib/index.js:1:1)\n    at load (file://${at}/a.ts:4:8)\n    at node:internal/x:1:2`,
      { line: 4, column: 8 },
    ],
    [
      'code with carets under it',
      (at: string) => `${at}/a.ts:3\nexport function load() {\n       ^^^^^^^^\n\nSyntaxError: no`,
      { line: 3, column: 8 },
    ],
    [
      'a missing import, of which only the file is told',
      (at: string) => `Error: Cannot find module '${at}/b.ts' imported from ${at}/a.ts`,
      { line: 1 },
    ],
    [
      'the last call of a Python traceback',
      (at: string) =>
        `Traceback\n  File "${at}/a.py", line 1, in <module>\n    import os\n  File "${at}/a.py", line 4, in load\n    return os.nothing\n           ^^^^^^^^^^\nAttributeError: x`,
      { line: 4, column: 12 },
    ],
    [
      'the place behind a Python message',
      (at: string) => `ZeroDivisionError: division by zero (${at}/a.py:3)`,
      { line: 3 },
    ],
  ])('%s', (_, trace, place) => {
    expect(placeIn(folder, trace(folder))).toMatchObject(place)
  })

  it('is none when only other code is in the stack', () => {
    expect(placeIn(folder, `Error: x\n    at f (file://${folder}/node_modules/lib/index.js:1:1)`)).toBeUndefined()
    expect(placeIn(folder, 'Error: x\n    at f (file:///nowhere/a.ts:1:1)')).toBeUndefined()
  })

  it('is shown with the lines around it', () => {
    expect(codeFrame({ file: join(folder, 'a.ts'), line: 4, column: 8 })).toBe(
      [
        "  1 | import { b } from './b.ts'",
        '  2 |',
        '  3 | export function load() {',
        '> 4 | \tthrow new Error(b)',
        '    | \t      ^',
        '  5 | }',
        '  6 |',
      ].join('\n'),
    )
  })
})
