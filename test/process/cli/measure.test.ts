import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { outsideFolder, writePackage } from '../../helpers/package/outside-package.ts'
import { type CliResult, millraceCli } from '../../helpers/server/cli.ts'

/** Frames up to 640x360 take five milliseconds, larger ones too long for a stream of 5 frames per second. */
const STEP = `import { BaseParams, definePipeline, z } from 'millrace/pipeline'
export const Step = definePipeline({
  params: BaseParams.extend({ breakAt: z.int().default(0) }),
  load: async () => {
    const model = new Uint8Array(200 * 2 ** 20).fill(1)
    await new Promise((resolve) => setTimeout(resolve, 400))
    let frames = 0
    return {
      async process(frame, params) {
        if (++frames === params.breakAt) throw new RangeError('that one is odd ' + model[7])
        const until = performance.now() + 5
        while (performance.now() < until);
        if (frame.width > 640) await new Promise((resolve) => setTimeout(resolve, 300))
        return frame
      },
    }
  },
})
`

const folder = outsideFolder()
beforeAll(() => {
  const files = { 'step.js': STEP }
  writePackage(join(folder.path, 'pipelines/step'), { name: 'step', pipelines: { step: './step.js#Step' }, files })
})
afterAll(() => folder[Symbol.dispose]())

function measure(...args: string[]): Promise<CliResult> {
  const settings = { PIPELINE_DIR: join(folder.path, 'pipelines') }
  return millraceCli(['measure', 'step', '--fps', '5', ...args], { cwd: folder.path, settings })
}

test('the cost of a frame, the memory of the process, and the largest size that keeps up', async () => {
  const { code, stdout, stderr } = await measure('--size', '426x240', '--json')
  expect(code, stderr).toBe(0)
  const measured = JSON.parse(stdout)
  expect(measured).toMatchObject({ pipeline: 'step', width: 426, height: 240, atFps: 5, keepsUp: true })
  const { p50, p95, max } = measured.frameMs
  expect(p50).toBeGreaterThanOrEqual(5)
  expect([p50, p95, max]).toEqual([p50, p95, max].sort((a, b) => a - b))
  expect(p95).toBeLessThanOrEqual(200)
  expect(measured.loadMs).toBeGreaterThan(400)
  // Five on a machine that is not overloaded.
  expect(measured.cpuMs).toBeGreaterThan(0.5)
  expect(measured.cpus).toBeCloseTo((measured.cpuMs * 5) / 1000, 2)
  expect(measured.memoryBytes).toBeGreaterThan(200 * 2 ** 20)
  expect(measured.largest).toEqual({ width: 640, height: 360 })
  const sizes = measured.sizes.map(({ width, keepsUp }: { width: number; keepsUp: boolean }) => [width, keepsUp])
  expect(sizes).toEqual([
    [426, true],
    [640, true],
    [854, false],
  ])
})

test('a size that does not keep up is marked in the table, and smaller ones are tried', async () => {
  const { code, stdout, stderr } = await measure('--size', '854x480')
  expect(code, stderr).toBe(0)
  expect(stdout).toMatch(/^frames +\d+ of 854x480, yuv420p$/m)
  expect(stdout).toMatch(/^one frame +p50 3\d\d\.\d ms, p95 [\d.]+ ms, max [\d.]+ ms$/m)
  expect(stdout).toMatch(/^live at 5 fps +does not keep up, p95 over 200\.0 ms$/m)
  expect(stdout).toMatch(/^largest size +640x360$/m)
})

test('with a given size only that one is measured', async () => {
  const { stdout, stderr } = await measure('--json', '--params', '{"width":320,"height":240}')
  const measured = JSON.parse(stdout || `"${stderr}"`)
  expect(measured).toMatchObject({ width: 320, height: 240, sizes: [{ width: 320 }] })
  expect(measured).not.toHaveProperty('largest')
})

test('a frame on which it throws is named', async () => {
  const { code, stderr } = await measure('--size', '320x180', '--params', '{"breakAt":15}')
  expect(stderr).toMatch(/^millrace: frame 15: RangeError: that one is odd 1/)
  expect(code).toBe(1)
})

test.each([
  { args: ['--size', '13x13'], says: 'accepted are even sides from 16 to 3840' },
  { args: ['--fps', '1e9'], says: 'accepted is a number from 1 to 1000' },
  { args: ['--params', '{"breakAt":"x"}'], says: 'breakAt: ' },
])('$args is refused', async ({ args, says }) => {
  const { code, stderr } = await measure(...args)
  expect(stderr).toContain(says)
  expect(code).toBe(2)
})
