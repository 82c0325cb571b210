import { afterAll, beforeAll, expect, it } from 'vitest'
import { LARGE_CLIP } from '../../helpers/media/clip.ts'
import { type OddFfmpeg, oddFfmpeg } from '../../helpers/media/odd-ffmpeg.ts'
import { decodeNumbers } from '../../helpers/media/probe-ts.ts'
import { record } from '../../helpers/media/record.ts'
import { type Stage, setStage } from '../../helpers/server/stage.ts'
import { waitFor } from '../../helpers/wait.ts'

/** An ffmpeg with a simulated NVENC (libx264) that passes the trial and can be broken afterwards. */
const SCRIPT = `case " $* " in
*" -encoders "*)
  "$real" "$@" | grep -v h264_nvenc
  echo ' V....D h264_nvenc           NVIDIA NVENC H.264 encoder (codec h264)'
  exit ;;
*h264_nvenc*)
  if [ -e "$broken" ]; then
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
esac`

let ffmpeg: OddFfmpeg
let stage: Stage
beforeAll(async () => {
  ffmpeg = await oddFfmpeg(SCRIPT)
  stage = await setStage({ env: { FFMPEG_PATH: ffmpeg.path, VIDEO_ENCODER: 'auto' } })
  const clip = await stage.clip(LARGE_CLIP)
  await stage.publish('demo', clip)
})
afterAll(async () => {
  await stage?.[Symbol.asyncDispose]()
  await ffmpeg?.[Symbol.asyncDispose]()
})

it('an encoder that fails on a running stream is replaced by the next one that works', async () => {
  const { egress, processes } = await stage.waitForStatus('demo', 'outputs', ({ inference }) => inference.fps > 10)
  expect(egress.encoder).toBe('h264_nvenc')
  await using viewer = await record(`${stage.url}/out/demo.ts`)
  await stage.waitForStatus('demo', 'bytes for the viewer', () => viewer.bytes().length > 10_000)
  await ffmpeg.break()
  process.kill(processes.encoder as number, 'SIGKILL')
  await stage.waitForStatus('demo', 'another encoder', ({ egress: { encoder } }) => encoder === 'libx264', 30_000)
  const seen = (await decodeNumbers(viewer.bytes())).length
  await waitFor('frames of the next encoder', async () => (await decodeNumbers(viewer.bytes())).length > seen + 10)
  expect((await stage.status('demo')).publishing).toBe(true)
  viewer.stop()
  const numbers = await decodeNumbers(viewer.bytes())
  expect(numbers.every(({ pts }, index) => index === 0 || pts > numbers[index - 1]!.pts)).toBe(true)
  await using events = await record(`${stage.url}/streams/demo/events?lastEventId=0`)
  await stage.waitForStatus('demo', 'the event', () => events.bytes().includes('h264_nvenc fails on this stream'))
  expect(events.bytes().toString()).toContain('libx264 takes over')
})
