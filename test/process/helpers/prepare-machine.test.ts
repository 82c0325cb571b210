import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const SCRIPT = fileURLToPath(new URL('../../helpers/prepare-machine.ts', import.meta.url))
const run = (env: NodeJS.ProcessEnv) => spawnSync(process.execPath, [SCRIPT], { encoding: 'utf8', env })

test('it is quiet when all is there', () => {
  expect(run(process.env)).toMatchObject({ status: 0, stdout: '', stderr: '' })
})

test('one line names what is missing and the mend', () => {
  // No PATH: neither the programs nor apt are found.
  const { status, stdout, stderr } = run({ PATH: '/nowhere' })
  expect({ status, stdout }).toEqual({ status: 1, stdout: '' })
  expect(stderr).toMatch(
    /^the tests need ffmpeg and ffprobe.*not found on this machine; install with: .*ffmpeg.*FFMPEG_PATH.*\n$/,
  )
})
