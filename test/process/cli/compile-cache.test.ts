import { mkdtemp, readdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { millraceCli } from '../../helpers/server/cli.ts'
import { startServer } from '../../helpers/server/server.ts'

const filesIn = async (folder: string) =>
  (await readdir(folder, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile()).length

it('a server leaves the compiled code of all that it loaded in the folder of the user', async () => {
  const XDG_CACHE_HOME = await mkdtemp(join(tmpdir(), 'cache-'))
  const settings = { XDG_CACHE_HOME, NODE_COMPILE_CACHE: '' }
  expect(await millraceCli(['pipelines'], { settings })).toMatchObject({ code: 0, stderr: '' })
  const compiled = join(XDG_CACHE_HOME, 'millrace/compiled')
  const ofCommand = await filesIn(compiled)
  expect(ofCommand).toBeGreaterThan(10)
  const server = await startServer({ env: settings })
  await server.stop()
  expect(await filesIn(compiled)).toBeGreaterThan(ofCommand + 100)
})

it('a folder that cannot be written, or no wish for one, changes nothing else', async () => {
  const settings = { XDG_CACHE_HOME: '/dev/null/there', NODE_COMPILE_CACHE: '' }
  expect(await millraceCli(['pipelines'], { settings })).toMatchObject({ code: 0, stderr: '' })
  const XDG_CACHE_HOME = await mkdtemp(join(tmpdir(), 'cache-'))
  const off = { XDG_CACHE_HOME, NODE_COMPILE_CACHE: '', NODE_DISABLE_COMPILE_CACHE: '1' }
  expect(await millraceCli(['pipelines'], { settings: off })).toMatchObject({ code: 0, stderr: '' })
  expect(await readdir(XDG_CACHE_HOME)).toEqual([])
})
