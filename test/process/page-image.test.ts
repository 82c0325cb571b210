import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { ffmpegPath } from '../helpers/binaries.ts'
import { probePackets } from '../helpers/media/probe-ts.ts'
import { runTool } from '../helpers/run-tool.ts'

const SCRIPT = fileURLToPath(new URL('../../scripts/page-image.ts', import.meta.url))

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mr-page-image-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

test('the preview image of the page shows a test pattern in colour and its edges', async () => {
  const file = join(folder, 'page.png')
  const args = [SCRIPT, '--seconds', '0', '--tries', '1', file]
  const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: 120_000 })
  expect(stdout).toMatch(/page\.png: \d+ frames dropped/)
  const [image] = await probePackets(file)
  expect(image).toMatchObject({ width: 1280, height: 960 })
  const scaled = ['-i', file, '-vf', 'scale=64:48', '-f', 'rawvideo', '-pix_fmt', 'rgb24', '-']
  const [pixels] = await runTool(ffmpegPath(), ['-v', 'error', ...scaled])
  // The pattern covers about a sixth of the page, at the left; its edges, white on black, are at the right.
  const strong = (left: number, right: number) => {
    let count = 0
    for (let at = 0; at < pixels!.length; at += 3) {
      const x = (at / 3) % 64
      const rgb = pixels!.subarray(at, at + 3)
      if (x >= left && x < right && Math.max(...rgb) - Math.min(...rgb) > 120) count++
    }
    return count
  }
  expect(strong(0, 32)).toBeGreaterThan(250)
  expect(strong(33, 64)).toBeLessThan(60)
}, 150_000)
