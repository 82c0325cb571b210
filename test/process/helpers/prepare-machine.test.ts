import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const SCRIPT = fileURLToPath(new URL('../../helpers/prepare-machine.ts', import.meta.url))
const run = (env: NodeJS.ProcessEnv) => spawnSync(process.execPath, [SCRIPT], { encoding: 'utf8', env })

test('prints nothing when everything is installed', () => {
  expect(run(process.env)).toMatchObject({ status: 0, stdout: '', stderr: '' })
})

test('prints one line with what is missing and how to install it', () => {
  // An empty PATH: neither the programs nor apt are found.
  const { status, stdout, stderr } = run({ PATH: '/nowhere' })
  expect({ status, stdout }).toEqual({ status: 1, stdout: '' })
  expect(stderr).toMatch(
    /^the tests need ffmpeg and ffprobe.*not found on this machine; install with: .*ffmpeg.*FFMPEG_PATH.*\n$/,
  )
})
