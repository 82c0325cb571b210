import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { ffmpegPath } from '../helpers/binaries.ts'
import { decodeNumbers } from '../helpers/probe-ts.ts'
import { record } from '../helpers/record.ts'
import { type Stage, setStage } from '../helpers/stage.ts'

/** An ffmpeg with an NVENC (libx264 in truth) that passes the trial and can be broken afterwards. */
const wrapper = (real: string, broken: string) => `#!/bin/sh
case " $* " in
*" -encoders "*)
  "${real}" "$@" | grep -v h264_nvenc
  echo ' V....D h264_nvenc           NVIDIA NVENC H.264 encoder (codec h264)'
  exit ;;
*h264_nvenc*)
  if [ -e "${broken}" ]; then
    echo '[h264_nvenc] OpenEncodeSessionEx failed: out of memory (10)' >&2
    exit 1
  fi
  skip=
  for arg; do
    shift
    if [ -n "$skip" ]; then skip=; continue; fi
    case $arg in
    -preset | -tune | -rc | -zerolatency | -delay | -rc-lookahead | -no-scenecut | -forced-idr) skip=1 ;;
    h264_nvenc) set -- "$@" libx264 -preset ultrafast -tune zerolatency ;;
    *) set -- "$@" "$arg" ;;
    esac
  done ;;
esac
exec "${real}" "$@"
`

let folder: string
let stage: Stage
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mr-encoder-'))
  const path = join(folder, 'ffmpeg')
  await writeFile(path, wrapper(ffmpegPath(), join(folder, 'broken')))
  await chmod(path, 0o755)
  stage = await setStage({ env: { FFMPEG_PATH: path, VIDEO_ENCODER: 'auto' } })
  const clip = await stage.clip({ seconds: 60, width: 640, height: 360, fps: 30 })
  await stage.publish('demo', clip)
})
afterAll(async () => {
  await stage?.[Symbol.asyncDispose]()
  await rm(folder, { recursive: true, force: true })
})

it('an encoder that fails on a running stream gives way to the next one that works', async () => {
  const { egress, processes } = await stage.waitForStatus('demo', 'outputs', ({ inference }) => inference.fps > 10)
  expect(egress.encoder).toBe('h264_nvenc')
  await using viewer = await record(`${stage.url}/out/demo.ts`)
  await stage.waitForStatus('demo', 'bytes for the viewer', () => viewer.bytes().length > 10_000)
  await writeFile(join(folder, 'broken'), '')
  process.kill(processes.encoder as number, 'SIGKILL')
  await stage.waitForStatus('demo', 'another encoder', ({ egress: { encoder } }) => encoder === 'libx264', 30_000)
  const seen = viewer.bytes().length
  await stage.waitForStatus(
    'demo',
    'frames',
    ({ egress: { fps } }) => fps > 10 && viewer.bytes().length > seen + 20_000,
  )
  expect((await stage.status('demo')).publishing).toBe(true)
  viewer.stop()
  const numbers = await decodeNumbers(viewer.bytes())
  expect(numbers.length).toBeGreaterThan(10)
  expect(numbers.every(({ pts }, index) => index === 0 || pts > numbers[index - 1]!.pts)).toBe(true)
  await using events = await record(`${stage.url}/streams/demo/events?lastEventId=0`)
  await stage.waitForStatus('demo', 'the event', () => events.bytes().includes('h264_nvenc fails on this stream'))
  expect(events.bytes().toString()).toContain('libx264 takes over')
})
