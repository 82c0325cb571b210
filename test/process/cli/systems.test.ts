import { expect, test } from 'vitest'
import { type CliResult, millraceCli } from '../../helpers/server/cli.ts'

/** Pretends to the whole program that the machine runs this system. */
function millraceOn(platform: string, ...args: string[]): Promise<CliResult> {
  const source = `Object.defineProperty(process, 'platform', { value: ${JSON.stringify(platform)} })`
  return millraceCli(args, { nodeArgs: ['--import', `data:text/javascript,${encodeURIComponent(source)}`] })
}

const NOT_THERE = ['run', 'noop', '/not/there.mp4', '-o', 'x.mp4']

test('the start on Windows ends with one sentence that says what to do', async () => {
  for (const args of [['serve'], [], NOT_THERE]) {
    const { code, stderr, stdout } = await millraceOn('win32', ...args)
    expect(stderr).toBe(
      'millrace: Millrace does not run on Windows itself: start it in WSL2, or with docker compose up.\n',
    )
    expect(stdout).toBe('')
    expect(code).toBe(1)
  }
})

test.each([
  { platform: 'darwin', says: /^millrace: This is macOS, which Millrace supports but is not tested on: .+\.$/ },
  { platform: 'freebsd', says: /^millrace: This is freebsd, which Millrace is neither made for nor tested on: .+\.$/ },
])('on $platform the start logs the level of support, and continues', async ({ platform, says }) => {
  const { code, stderr } = await millraceOn(platform, 'serve', '--port', 'none')
  const [first, second] = stderr.split('\n')
  expect(first).toMatch(says)
  expect(second).toMatch(/^millrace: .*PORT.*none/)
  expect(code).toBe(2)
})

test('on Linux nothing is logged, and commands that start no pipeline work anywhere', async () => {
  expect((await millraceOn('linux', ...NOT_THERE)).stderr).toMatch(/^millrace: INPUT .* is not there; .*\n$/)
  const { code, stderr, stdout } = await millraceOn('win32', 'pipelines')
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  expect(stdout).toMatch(/^noop /m)
})
