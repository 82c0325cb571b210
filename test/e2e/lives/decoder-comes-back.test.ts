import { afterAll, beforeAll, expect, it } from 'vitest'
import { type OddFfmpeg, oddFfmpeg } from '../../helpers/media/odd-ffmpeg.ts'
import { record } from '../../helpers/media/record.ts'
import { type Stage, setStage } from '../../helpers/server/stage.ts'

/** An ffmpeg whose video and audio decoders fail while a file exists; everything else works. */
const SCRIPT = `case " $* " in
*" rawvideo "* | *" libopus "*)
  if [ -e "$broken" ]; then
    echo 'out of memory' >&2
    exit 1
  fi ;;
esac`

let ffmpeg: OddFfmpeg
let stage: Stage
beforeAll(async () => {
  ffmpeg = await oddFfmpeg(SCRIPT)
  stage = await setStage({ env: { FFMPEG_PATH: ffmpeg.path } })
})
afterAll(async () => {
  await stage?.[Symbol.asyncDispose]()
  await ffmpeg?.[Symbol.asyncDispose]()
})

it('a decoder that keeps failing is retried as long as there is a publisher, with ERROR in between', async () => {
  const clip = await stage.clip({ seconds: 120, width: 320, height: 180, fps: 15, audio: true })
  await stage.publish('demo', clip)
  const { processes } = await stage.waitForStatus('demo', 'outputs', ({ inference }) => inference.fps > 5)
  await using events = await record(`${stage.url}/streams/demo/events?lastEventId=0`)
  await ffmpeg.break()
  process.kill(processes.decoder as number, 'SIGKILL')
  const { publishing } = await stage.waitForStatus('demo', 'its fault', ({ state }) => state === 'ERROR')
  expect(publishing).toBe(true)
  await ffmpeg.mend()
  const fine = ({ state, inference }: { state: string; inference: { fps: number } }) =>
    state !== 'ERROR' && inference.fps > 5
  await stage.waitForStatus('demo', 'frames again', fine, 60_000)
  const told = () => events.bytes().toString()
  await stage.waitForStatus('demo', 'the events', () => /"state":"[A-Z_]+","previous":"ERROR"/.test(told()))
  expect(told()).toContain('"state":"ERROR"')
  expect(told()).toContain('ffmpeg (decoder) exited with code 1: out of memory')
  expect(told()).not.toContain('"event":"left"')
}, 150_000)
