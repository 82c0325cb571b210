import { execFile } from 'node:child_process'
import { createReadStream, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import { tmpdir } from 'node:os'
import { extname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { Browser, Page } from 'playwright-core'
import { build } from 'vite'
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import { launchChromium } from '../../helpers/browser/chromium.ts'
import { http } from '../../helpers/server/http.ts'
import { startServer, type TestServer } from '../../helpers/server/server.ts'
import { waitFor } from '../../helpers/wait.ts'

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))
const EXAMPLES = fileURLToPath(new URL('../../../examples/embedding', import.meta.url))
const FIXTURES = fileURLToPath(new URL('../../fixtures/pipelines', import.meta.url))
const CLIENT = fileURLToPath(new URL('../../../public/client/index.js', import.meta.url))
const TOKEN = 'a-long-secret'
const headers = { authorization: `Bearer ${TOKEN}` }
const TYPES: Record<string, string> = { '.html': 'text/html', '.js': 'text/javascript' }

let server: TestServer
let browser: Browser
let folder: string
let site: Server
let origin: string
const complaints: string[] = []

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mr-client-'))
  ;[server, browser] = await Promise.all([
    startServer({ env: { AUTH_TOKEN: TOKEN, MAX_STREAMS: '8', PIPELINE_DIR: FIXTURES } }),
    launchChromium(),
  ])
  site = createServer(({ url = '/' }, response) => {
    const path = url.split('?')[0]!
    response.setHeader('content-type', TYPES[extname(path)] ?? 'text/html')
    const html = () => readFileSync(join(EXAMPLES, 'index.html'), 'utf8')
    if (path === '/') response.end(html().replaceAll('http://127.0.0.1:8000', server.url))
    else if (path === '/empty') response.end('<!doctype html><video muted autoplay></video>')
    else
      createReadStream(join(folder, path.endsWith('/') ? `${path}index.html` : path))
        .on('error', () => response.writeHead(404).end())
        .pipe(response)
  })
  await new Promise<void>((resolve) => site.listen(0, '127.0.0.1', resolve))
  origin = `http://127.0.0.1:${(site.address() as { port: number }).port}`
}, 120_000)
afterAll(async () => {
  await browser?.close()
  site?.close()
  await server?.stop()
  await rm(folder, { recursive: true, force: true })
})
afterEach(async () => {
  for (const context of browser.contexts()) await context.close()
})

async function open(path: string): Promise<Page> {
  const page = await (await browser.newContext()).newPage()
  page.on('pageerror', (error) => complaints.push(error.stack ?? error.message))
  await page.goto(`${origin}${path}`)
  return page
}

const shown = (page: Page) =>
  page.evaluate<number>(`document.querySelector('video').getVideoPlaybackQuality().totalVideoFrames`)

async function framesAdvance(page: Page): Promise<void> {
  const before = await shown(page)
  await waitFor('more frames', async () => (await shown(page)) > before + 10, { limitMs: 30_000 })
}

const get = async (path: string) => JSON.parse((await http('GET', `${server.url}${path}`, { headers })).text)

/** The steps of both examples, by the labels of their buttons. */
async function drive(page: Page, live: () => Promise<void>): Promise<void> {
  await page.getByRole('button', { name: 'Publish the camera' }).click()
  await waitFor('the camera at the server', async () => (await get('/streams/demo')).ingest?.kind === 'whip')
  await framesAdvance(page)
  await page.getByLabel('Effect').selectOption('grayscale')
  await waitFor('the effect', async () => (await get('/streams/demo/params')).params.effect === 'grayscale')
  await live()
  await page.getByRole('button', { name: 'Stop publishing' }).click()
  await page.getByRole('button', { name: 'Publish the camera' }).waitFor()
  await waitFor('the publisher to be gone', async () => !(await get('/streams/demo')).publishing)
  await http('DELETE', `${server.url}/streams/demo`, { headers })
}

/** Type-checks against the client of this repository; rejects with the output of the compiler. */
async function types(): Promise<void> {
  // Its own packages resolve from inside the repository.
  const project = join(ROOT, 'test-results', 'tsconfig.react.json')
  const compilerOptions = { allowJs: true, paths: { 'millrace/client': [CLIENT] } }
  const example = join(EXAMPLES, 'react')
  const config = { extends: join(example, 'tsconfig.json'), compilerOptions, include: [join(example, 'src')] }
  mkdirSync(join(ROOT, 'test-results'), { recursive: true })
  writeFileSync(project, JSON.stringify(config))
  await promisify(execFile)(join(ROOT, 'node_modules/.bin/tsc'), ['-p', project]).catch((error) => {
    throw new Error(error.stdout)
  })
}

it('the plain HTML example publishes, plays, sets a param and shows events', async () => {
  const page = await open('/')
  const events = page.getByRole('listitem')
  const told = async (...types: string[]) => {
    for (const type of types) await events.filter({ hasText: type }).first().waitFor()
  }
  // A warm pipeline works at once, so there may be no state change to report.
  await drive(page, () => told('viewers', 'publisher', 'params'))
  await told('ended')
  expect(complaints).toEqual([])
}, 90_000)

it('the React example does the same, with types', async () => {
  await types()
  await build({
    root: join(EXAMPLES, 'react'),
    base: './',
    logLevel: 'error',
    resolve: { alias: { 'millrace/client': CLIENT } },
    define: { 'import.meta.env.VITE_MILLRACE_URL': JSON.stringify(server.url) },
    build: { outDir: join(folder, 'react') },
  })
  const page = await open('/react/')
  await drive(page, () => page.getByText(/playing, [A-Z_]+$/).waitFor())
  await page.getByText('nobody publishes').waitFor()
  expect(complaints).toEqual([])
}, 90_000)

/** An empty page with the client: `stream`, `video`, and `states` of its player and publisher. */
async function openEmpty(name: string): Promise<Page> {
  const page = await open('/empty')
  await page.evaluate(`(async () => {
    const { Millrace } = await import('${server.url}/client/index.js')
    globalThis.millrace = new Millrace('${server.url}', { token: () => '${TOKEN}' })
    globalThis.stream = millrace.stream('${name}')
    globalThis.video = document.querySelector('video')
    globalThis.states = { player: [], publisher: [] }
    globalThis.note = (what, of) => of.on('state', ({ state }) => states[what].push(state))
  })()`)
  return page
}

const states = (page: Page, what: string) => page.evaluate<string[]>(`states.${what}`)

it('player and publisher report statistics, and reconnect when the server drops their sessions', async () => {
  const page = await openEmpty('again')
  const sessions: Record<string, string> = {}
  page.on('response', (answer) => {
    const kind = /\/(whip|whep)\/again$/.exec(new URL(answer.url()).pathname)?.[1]
    if (kind && answer.status() === 201) sessions[kind] = new URL(answer.headers().location!, answer.url()).href
  })
  await page.evaluate(`(async () => {
    const media = await navigator.mediaDevices.getUserMedia({ video: { width: 640, height: 360 } })
    globalThis.publisher = await stream.publish(media, { pipeline: 'effects', params: { effect: 'invert' } })
    globalThis.player = stream.play(video)
    note('player', player)
    note('publisher', publisher)
  })()`)
  await framesAdvance(page)
  expect((await get('/streams/again/params')).params.effect).toBe('invert')
  const figures = await waitFor('figures of both', () =>
    page.evaluate<{ player: Record<string, number>; publisher: Record<string, number> } | undefined>(
      `Promise.all([player.stats(), publisher.stats()])
        .then(([player, publisher]) => player?.fps > 1 && player.width === 640 && publisher?.fps > 1 && { player, publisher })`,
    ),
  )
  expect(figures.player).toMatchObject({ width: 640, height: 360 })
  expect(figures.publisher).toMatchObject({ width: 640, height: 360 })
  expect(figures.publisher.kbps).toBeGreaterThan(0)

  for (const [kind, what, again] of [
    ['whep', 'player', 'playing'],
    ['whip', 'publisher', 'publishing'],
  ] as const) {
    const before = sessions[kind]!
    const since = (await states(page, what)).length
    expect((await http('DELETE', before, { headers })).status).toBe(200)
    await waitFor(`the ${what} again`, async () => (await states(page, what)).slice(since).includes(again), {
      limitMs: 30_000,
    })
    expect((await states(page, what)).slice(since)).toContain('waiting')
    expect(sessions[kind]).not.toBe(before)
    await framesAdvance(page)
  }

  // Ended by another client: neither reconnects.
  await http('DELETE', `${server.url}/streams/again`, { headers })
  await waitFor('the end of the publisher', async () => (await states(page, 'publisher')).at(-1) === 'closed')
  await waitFor('a look of the player', async () => (await states(page, 'player')).at(-1) === 'waiting')
  expect((await http('GET', `${server.url}/streams/again`, { headers })).status).toBe(404)
  expect(await page.evaluate(`publisher.media.getTracks().map(({ readyState }) => readyState)`)).toEqual(['ended'])
  expect(complaints).toEqual([])
}, 120_000)

it('events, data, params, swaps and errors', async () => {
  const page = await openEmpty('words')
  await page.evaluate(`stream.startTestPattern({ pipeline: 'effects', params: { effect: 'edges' } })`)
  const first = await page.evaluate<string[]>(`(async () => {
    const types = []
    for await (const { type } of stream.events({ past: true })) {
      types.push(type)
      if (type === 'publisher') return types
    }
  })()`)
  expect(first).toContain('publisher')

  const refused = await page.evaluate(
    `stream.mergeParams({ strength: 7 }).catch(({ name, status, errors }) => ({ name, status, paths: errors.map(({ path }) => path) }))`,
  )
  expect(refused).toEqual({ name: 'ApiError', status: 422, paths: ['/strength'] })
  const set = await page.evaluate<{ params: object }>(`stream.mergeParams({ strength: 0.5 })`)
  expect(set.params).toMatchObject({ effect: 'edges', strength: 0.5 })
  expect((await page.evaluate<{ params: object }>(`stream.replaceParams({})`)).params).toMatchObject({ strength: 1 })

  const missing = await page.evaluate(
    `millrace.stream('nobody').events().next().catch(({ name, status }) => ({ name, status }))`,
  )
  expect(missing).toEqual({ name: 'ApiError', status: 404 })
  const gone = await page.evaluate(`new millrace.constructor('http://127.0.0.1:9').streams().catch(({ name }) => name)`)
  expect(gone).toBe('UnreachableError')
  const wrong = await page.evaluate(`(async () => {
    let token = 'wrong'
    const asked = []
    const onUnauthorized = async ({ background }) => {
      asked.push(background)
      token = '${TOKEN}'
      return true
    }
    const other = new millrace.constructor('${server.url}/', { token: () => token, onUnauthorized })
    return [asked, (await other.stream('words').replaceParams({})).params.strength]
  })()`)
  expect(wrong).toEqual([[false], 1])

  await page.evaluate(`stream.replacePipeline('says')`)
  const data = await page.evaluate<{ pts: number; data: object }[]>(`(async () => {
    const messages = []
    for await (const message of stream.data()) if (messages.push(message) === 3) return messages
  })()`)
  expect(data[2]!.pts).toBeGreaterThan(data[0]!.pts)
  expect(data[0]!.data).toHaveProperty('frames')

  const ended = page.evaluate<string[]>(`(async () => {
    const types = []
    for await (const { type } of stream.events()) types.push(type)
    return types
  })()`)
  await page.evaluate(`stream.stop()`)
  expect((await ended).at(-1)).toBe('ended')
  expect(complaints).toEqual([])
}, 90_000)
