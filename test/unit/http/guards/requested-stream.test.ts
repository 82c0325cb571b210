import { Hono } from 'hono'
import { expect, test } from 'vitest'
import { requestedStream } from '../../../../src/http/guards/requested-stream.ts'

async function asked(path: string): Promise<string | undefined> {
  const app = new Hono()
  app.get('*', (c) => c.json({ stream: requestedStream(c) }))
  return ((await (await app.request(path)).json()) as { stream?: string }).stream
}

test.each([
  ['/whip/cam', 'cam'],
  ['/whep/cam/0a1b2c', 'cam'],
  ['/ingest/cam?pipeline=other', 'cam'],
  ['/streams/cam/params', 'cam'],
  ['/streams/c%61m', 'cam'],
  ['/test-pattern/cam', 'cam'],
  ['/out/cam.ts', 'cam'],
  ['/out/cam.v2.jsonl', 'cam.v2'],
  ['/trickle/cam/3', 'cam'],
  ['/trickle/cam-out/next', 'cam'],
  ['/trickle/cam-events/0', 'cam'],
  ['/trickle/cam-control/0', 'cam'],
  ['/trickle/cam-data/0', 'cam'],
  ['/recordings/cam-1-20261129T232003120Z.mp4', 'cam-1'],
  ['/params?stream=cam', 'cam'],
])('%s concerns %s', async (path, stream) => {
  expect(await asked(path)).toBe(stream)
})

test.each(['/streams', '/recordings', '/pipelines/noop', '/metrics', '/params', '/', '/streams/%E0%A4%A'])(
  '%s concerns no stream',
  async (path) => {
    expect(await asked(path)).toBeUndefined()
  },
)
