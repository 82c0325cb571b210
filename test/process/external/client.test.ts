import { execFile } from 'node:child_process'
import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { outsideApp } from '../../helpers/package/outside-app.ts'

const run = promisify(execFile)

let app: Awaited<ReturnType<typeof outsideApp>>
beforeAll(async () => {
  app = await outsideApp(['@types/node', 'typescript', 'vitest'])
}, 300_000)
afterAll(() => app?.[Symbol.dispose]())

const USE = `import { ApiError, Millrace, type Player, type StreamEvent } from 'millrace/client'

const millrace = new Millrace('http://127.0.0.1:8000', { token: () => undefined })
const stream = millrace.stream('demo')
const player: Player = stream.play(document.createElement('video'), { view: 'input' })
player.on('state', ({ state, error }) => console.log(state === 'waiting', error?.message))
export async function run(media: MediaStream): Promise<number | undefined> {
  const publisher = await stream.publish(media, { pipeline: 'effects', params: { strength: 1 } })
  publisher.on('ended', ({ error }) => console.log(error instanceof ApiError && error.errors[0]?.path))
  for await (const event of stream.events({ past: true })) say(event)
  for await (const { pts, data } of stream.data()) if (data) return pts
  return (await player.stats())?.fps
}
function say(event: StreamEvent): string {
  if (event.type === 'publisher') return event.kind
  return event.type === 'status' ? event.status.egress.encoder : ''
}
`

/** Each error, and the line that must report it. */
const WRONG = `import { Millrace } from 'millrace/client'
const millrace = new Millrace('http://127.0.0.1:8000', { tokens: 'x' })
millrace.stream('demo').play(document.createElement('audio'))
millrace.stream('demo').play(document.createElement('video'), { view: 'both' })
millrace.stream('demo').play(document.createElement('video')).on('ended', () => {})
const revision: string = (await millrace.stream('demo').params()).revision
export { revision }
`

async function compile(file: string, text: string): Promise<string> {
  const compilerOptions = {
    target: 'ES2024',
    lib: ['ES2024', 'DOM', 'DOM.AsyncIterable'],
    module: 'ESNext',
    moduleResolution: 'Bundler',
    types: [],
    strict: true,
    noEmit: true,
  }
  writeFileSync(join(app.path, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: [file] }))
  writeFileSync(join(app.path, file), text)
  const tsc = run('npx', ['tsc', '-p', '.'], { cwd: app.path })
  return await tsc.then(
    () => '',
    ({ stdout }) => stdout,
  )
}

test('the packed client is typed for an app without the types of Node', async () => {
  expect(await compile('use.ts', USE)).toBe('')
  const wrong = await compile('wrong.ts', WRONG)
  expect([...wrong.matchAll(/wrong\.ts\((\d+),/g)].map(([, line]) => Number(line))).toEqual([2, 3, 4, 5, 6])
})

test('and imports nothing but its own files', async () => {
  const folder = join(app.path, 'node_modules/millrace/dist/public/client')
  expect(readdirSync(folder)).toContain('index.d.ts')
  const script = `const { Millrace } = await import('millrace/client'); console.log(new Millrace('http://x').stream('demo').name)`
  const { stdout } = await run(process.execPath, ['--input-type=module', '-e', script], { cwd: app.path })
  expect(stdout.trim()).toBe('demo')
})
