import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { createServer as createTcpServer } from 'node:net'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { Child, TailBuffer } from '../../../src/core/child.ts'
import { ffmpegPath, onPath } from '../../helpers/binaries.ts'
import { launchChromium } from '../../helpers/browser/chromium.ts'
import { makeNumberedClip } from '../../helpers/media/clip.ts'
import { runTool } from '../../helpers/run-tool.ts'
import { http, httpJson } from '../../helpers/server/http.ts'
import { SMALL_FRAMES, startServer, type TestServer } from '../../helpers/server/server.ts'
import { waitFor } from '../../helpers/wait.ts'
import { fencedBlocks, type ShellBlock, serves, shellBlocks, textOf } from './shell-blocks.ts'

const DOCUMENTS = [
  'README.md',
  'docs/quick-start.md',
  'docs/api.md',
  'docs/dispatch.md',
  'docs/ffmpeg.md',
  'docs/files.md',
  'docs/gateway.md',
  'docs/livekit.md',
  'docs/livepeer.md',
  'docs/many-viewers.md',
  'docs/operating.md',
  'docs/protocols.md',
  'docs/security.md',
  'docs/troubleshooting.md',
  'docs/trickle.md',
]
/** Their commands are run by tests of their own. */
const ELSEWHERE = ['docs/pipelines.md', 'docs/pipeline-sdk-python.md']
const ROOT = fileURLToPath(new URL('../../..', import.meta.url))
const CLI = fileURLToPath(new URL('../../../src/cli.ts', import.meta.url))
const ADDRESS = /http:\/\/(127\.0\.0\.1|localhost):8000/g
/** Long enough for an invalid command to fail. */
const SETTLE_MS = 1200

let folder: string
let server: TestServer
const running: { child: Child; output: TailBuffer }[] = []

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'mr-docs-'))
  writeTools(join(folder, 'bin'))
  const clip = { width: 320, height: 240, fps: 30, audio: true } as const
  await makeNumberedClip({ ...clip, file: join(folder, 'video.mp4'), seconds: 20 })
  for (const name of ['0.ts', '1.ts']) await makeNumberedClip({ ...clip, file: join(folder, name), seconds: 2 })
  await runTool(ffmpegPath(), ['-v', 'error', '-i', join(folder, 'video.mp4'), '-vn', join(folder, 'speech.wav')])
  const port = await freePort()
  server = await startServer({
    // Streams in the documents read from the server itself, which is refused by default.
    env: {
      PORT: String(port),
      ALLOWED_URLS: `http://127.0.0.1:${port}`,
      MAX_STREAMS: '12',
      UDP_PORTS: '51200-51220',
      ...SMALL_FRAMES,
    },
  })
})
afterEach(endAll)
afterAll(async () => {
  await server?.stop()
  rmSync(folder, { recursive: true, force: true })
})

describe('every command in the documentation works', () => {
  it.each(DOCUMENTS)(
    '%s',
    async (document) => {
      const blocks = shellBlocks(document)
      expect(blocks.length).toBeGreaterThan(0)
      for (const block of blocks) await runBlock(document, block)
    },
    120_000,
  )

  it('no page with commands is left out', () => {
    const pages = readdirSync(join(ROOT, 'docs')).filter((name) => name.endsWith('.md'))
    const withCommands = pages.map((name) => `docs/${name}`).filter((page) => shellBlocks(page).length > 0)
    expect([...DOCUMENTS, ...ELSEWHERE].sort()).toEqual(['README.md', ...withCommands].sort())
  })

  it('commands that cannot run here have valid shell syntax', async () => {
    const elsewhere = DOCUMENTS.flatMap((document) => shellBlocks(document)).filter(
      ({ manner }) => manner === 'elsewhere',
    )
    expect(elsewhere.length).toBeGreaterThan(0)
    for (const { text } of elsewhere) await runTool('bash', ['-n', '-c', text])
  })
})

describe('docs/embedding.md', () => {
  it('is a working player on a page of another origin of this machine', async () => {
    const [page] = [...fencedBlocks(textOf('docs/embedding.md'))].filter(({ info }) => info === 'html')
    const html = page?.text.replaceAll(ADDRESS, server.url) ?? ''
    expect(html).toContain(server.url)
    await http('POST', `${server.url}/test-pattern/demo`)
    const pages = createServer((_, response) => response.setHeader('content-type', 'text/html').end(html))
    await new Promise<void>((resolve) => pages.listen(0, '127.0.0.1', resolve))
    const { port } = pages.address() as { port: number }
    const browser = await launchChromium()
    try {
      const tab = await browser.newPage()
      await tab.goto(`http://127.0.0.1:${port}/`)
      const shown = () =>
        tab.evaluate<number>(`document.querySelector('video').getVideoPlaybackQuality().totalVideoFrames`)
      await waitFor('frames', async () => (await shown()) > 20)
    } finally {
      await browser.close()
      pages.closeAllConnections()
      await new Promise((resolve) => pages.close(resolve))
    }
  })
})

async function runBlock(document: string, block: ShellBlock): Promise<void> {
  const { line, manner, text } = block
  if (manner === 'elsewhere') return
  const where = `${document}:${line}`
  const output = new TailBuffer(40)
  const child = await Child.spawn({
    command: 'bash',
    args: ['-euo', 'pipefail', '-c', text.replaceAll(ADDRESS, server.url)],
    stdio: ['ignore', 'pipe', 'pipe'],
    cwd: folder,
    env: {
      PATH: `${join(folder, 'bin')}${delimiter}${process.env.PATH}`,
      HOME: folder,
      PORT: '0',
      UDP_PORTS: '51230-51240',
      AUTH_TOKEN: manner === 'background' && serves(text) ? '' : 'not-asked-for',
    },
    group: true,
    graceMs: 8000,
  })
  for (const stream of [child.process.stdout, child.process.stderr]) {
    stream?.setEncoding('utf8').on('data', (chunk: string) => output.push(chunk))
  }
  const said = () => `${where}\n${text}\n${output.lines.join('\n')}`
  if (manner === 'background') {
    running.push({ child, output })
    await begun(text, child, output, said)
    return
  }
  const limit = setTimeout(() => void child.close(), 30_000)
  const closed = await child.closed
  clearTimeout(limit)
  expect(closed.why, said()).toBe(manner === 'refused' ? 'failed' : 'ended')
}

/** Ready: a server has logged its URL, the stream of a publisher exists, any other command has not failed. */
async function begun(text: string, child: Child, output: TailBuffer, said: () => string): Promise<void> {
  const failed = () => child.exit !== undefined && child.exit.code !== 0
  const look = async () => {
    if (failed()) return true
    if (serves(text)) return output.lines.some((line) => line.includes('Millrace is running'))
    const stream = /\/ingest\/(\w+)/.exec(text)?.[1]
    if (stream) return (await http('GET', `${server.url}/out/${stream}.jpg`)).status === 200
    return await sleep(SETTLE_MS, true)
  }
  await waitFor(said(), look, { everyMs: 100 })
  expect(failed(), said()).toBe(false)
}

async function endAll(): Promise<void> {
  await Promise.all(running.splice(0).map(({ child }) => child.close()))
  const { json } = await httpJson<{ name: string }[]>('GET', `${server.url}/streams`)
  await Promise.all(json.map(({ name }) => http('DELETE', `${server.url}/streams/${name}`)))
}

/**
 * Replacements for commands of the documents: npm without a second install, curl that fails when the
 * server refuses, a player without a display.
 */
function writeTools(bin: string): void {
  mkdirSync(bin)
  const millrace = `"${process.execPath}" "${CLI}"`
  const tools = {
    npm: `case $1 in start) exec ${millrace} serve ;; ci | test) exit 0 ;; *) exit 64 ;; esac`,
    npx: `case $1 in millrace) shift; exec ${millrace} "$@" ;; *) exit 64 ;; esac`,
    curl: `exec "${onPath('curl')}" --fail-with-body -sS "$@"`,
    ffplay: `for url; do :; done; exec "${ffmpegPath()}" -v error -fflags nobuffer -i "$url" -t 0.5 -f null -`,
  }
  for (const [name, script] of Object.entries(tools)) {
    writeFileSync(join(bin, name), `#!/bin/sh\n${script}\n`)
    chmodSync(join(bin, name), 0o755)
  }
}

async function freePort(): Promise<number> {
  const probe = createTcpServer()
  await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve))
  const { port } = probe.address() as { port: number }
  await new Promise((resolve) => probe.close(resolve))
  return port
}
