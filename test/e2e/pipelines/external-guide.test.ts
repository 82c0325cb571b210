/** Follows docs/pipelines.md from its first line to its last, and prints how long each step took. */
import { execFile } from 'node:child_process'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify, stripVTControlCharacters } from 'node:util'
import { expect, test } from 'vitest'
import { Child } from '../../../src/core/child.ts'
import { ffmpegPath } from '../../helpers/binaries.ts'
import { newestFrame } from '../../helpers/browser/newest-frame.ts'
import { lockFor, packMillrace } from '../../helpers/package/outside-app.ts'
import { outsideFolder } from '../../helpers/package/outside-package.ts'
import { http, httpJson } from '../../helpers/server/http.ts'
import { waitFor } from '../../helpers/wait.ts'

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))
const PAGE = readFileSync(join(ROOT, 'docs/pipelines.md'), 'utf8')
const run = promisify(execFile)

type Block = { step: string; what: string; text: string }

/** The blocks marked to be run, run in the background, or saved. */
const blocks: Block[] = PAGE.split(/^## /m).flatMap((section) => {
  const step = section.slice(0, section.indexOf('\n'))
  const marked = section.matchAll(/^```\w+ (run|background|file=\S+)\n([\s\S]*?)^```$/gm)
  return [...marked].map(([, what, text]) => ({ step, what: what!, text: text! }))
})

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  await new Promise((resolve) => server.close(resolve))
  return port
}

test('the guide, from an empty folder to a changed param', async () => {
  const tarball = await packMillrace()
  using folder = outsideFolder()
  const lock = join(folder.path, 'lock.json')
  writeFileSync(lock, lockFor(tarball))
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  const path = `${process.env.PATH}:${dirname(ffmpegPath())}`
  const env = { ...process.env, PATH: path, PORT: String(port), LOG_LEVEL: 'info', NO_COLOR: '1' }
  // Installs from this machine in place of the registry.
  const asHere = (text: string) =>
    text
      .replaceAll('127.0.0.1:8000', `127.0.0.1:${port}`)
      .replaceAll(
        'npm install millrace',
        `cp ${lock} package-lock.json && npm install --prefer-offline --ignore-scripts ${tarball}`,
      )
  const beside: Child[] = []
  const printed: string[] = []
  const took = new Map<string, number>()
  let cwd = folder.path
  let atFirst = 0
  try {
    for (const { step, what, text } of blocks) {
      const began = performance.now()
      if (what.startsWith('file=')) writeFileSync(join(cwd, what.slice('file='.length)), text)
      else if (what === 'background') {
        const stdio = ['ignore', 'inherit', 'inherit'] as const
        const args = ['-c', `exec ${asHere(text).trim()} >/dev/null 2>&1`]
        beside.push(await Child.spawn({ command: 'bash', args, stdio: [...stdio], cwd, env, group: true }))
        // A reader would look at the output before continuing.
        if (beside.length === 1)
          await waitFor('the server', async () => (await http('GET', `${url}/health`)).status === 200)
        else {
          const status = () => httpJson<{ inference?: { fps: number } }>('GET', `${url}/streams/demo`)
          await waitFor('the stream', async () => ((await status()).json.inference?.fps ?? 0) > 5, { limitMs: 60_000 })
        }
      } else {
        const { stdout } = await run('bash', ['-e', '-c', `${asHere(text)}\necho; pwd`], {
          cwd,
          env,
          timeout: 120_000,
        }).catch((error) => {
          throw new Error(`${step}: ${text}${error.stdout}${error.stderr}`)
        })
        const lines = stripVTControlCharacters(stdout).trimEnd().split('\n')
        cwd = lines.pop()!
        printed.push(lines.join('\n'))
        if (text.includes('frame.jpg')) atFirst = (await newestFrame(url, 'demo')).chroma
        // At 0.8 of the way to the negative, colours have 0.6 of their strength; here they have all of it.
        if (text.includes('"strength":0'))
          await waitFor('the changed frame', async () => (await newestFrame(url, 'demo')).chroma > atFirst * 1.4)
      }
      took.set(step, (took.get(step) ?? 0) + performance.now() - began)
    }
  } finally {
    for (const child of beside.reverse()) await child.close()
  }
  const times = [...took].map(([step, ms]) => `  ${step}: ${(ms / 1000).toFixed(1)} s`)
  console.log(`the guide took\n${times.join('\n')}`)

  const all = printed.join('\n')
  expect(all).toMatch(/^my-pipeline +my-pipeline@1\.0\.0/m)
  expect(all).toMatch(/my-pipeline\/pipeline\.js#MyPipeline/)
  expect(all).toContain('"strength":0')
  expect(all).toMatch(/pass 1\d/)
  expect(all).toMatch(/^my-pipeline +my-pipeline@0\.1\.0/m)
  expect([...took.keys()].map((step) => step[0])).toEqual(['1', '2', '3', '4', '5'])
}, 300_000)

test('quotes the messages of the code', () => {
  const sources = readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .map((file) => readFileSync(join(ROOT, 'src', file), 'utf8'))
    .join('\n')
  const table = PAGE.slice(PAGE.indexOf('## When something is wrong'))
  const messages = [...table.matchAll(/^\| `(.+?)` \|/gm)].map(([, message]) => message!)
  expect(messages.length).toBeGreaterThan(12)
  const pieces = messages.flatMap((message) => message.split(/…|; |: | took longer /).map((piece) => piece.trim()))
  expect(pieces.filter((piece) => piece.length > 3 && !sources.includes(piece))).toEqual([])
})

test('links to existing files only', () => {
  for (const [, target] of PAGE.matchAll(/\]\((?!https?:)([^)#]+)\)/g))
    expect(() => readdirSync(dirname(join(ROOT, 'docs', target!)))).not.toThrow()
})
