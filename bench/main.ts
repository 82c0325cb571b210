/**
 * `npm run bench [name ...]`: runs benchmarks and writes their results; without a name it runs all but `soak`,
 * `recording`, `gpu` and `cluster`.
 */
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { cluster } from './cluster/cluster.ts'
import { dev } from './dev.ts'
import { dispatch } from './dispatch.ts'
import { latency } from './latency.ts'
import type { Benchmark, Options } from './lib/benchmark.ts'
import { describeMachine, watchMachine } from './lib/machine.ts'
import { tell, writeReport } from './lib/report.ts'
import { audio } from './pipeline/audio.ts'
import { chain } from './pipeline/chain.ts'
import { gpu } from './pipeline/gpu.ts'
import { redact } from './pipeline/redact.ts'
import { runners } from './pipeline/runners.ts'
import { shared } from './pipeline/shared.ts'
import { recording } from './recording.ts'
import { remote } from './remote.ts'
import { ring } from './ring.ts'
import { soak } from './soak.ts'
import { start } from './start.ts'
import { streams } from './streams.ts'
import { transcode } from './transcode.ts'
import { trickle } from './trickle.ts'
import { viewers } from './viewers.ts'

const ALL: Benchmark[] = [
  transcode,
  latency,
  streams,
  viewers,
  trickle,
  start,
  dev,
  ring,
  audio,
  runners,
  chain,
  shared,
  redact,
  remote,
  dispatch,
  gpu,
  recording,
  soak,
  cluster,
]
/** Run only when named: two take as long as requested, one needs a GPU, one needs a LiveKit. */
const ON_REQUEST = ['soak', 'recording', 'gpu', 'cluster']
/** Each speaks to its peer in a way of its own. */
const WITH_PEER = ['trickle', 'viewers']

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seconds: { type: 'string' },
    repeat: { type: 'string' },
    minutes: { type: 'string' },
    streams: { type: 'string' },
    loss: { type: 'string' },
    viewers: { type: 'string' },
    sizes: { type: 'string' },
    peer: { type: 'string' },
    'peer-url': { type: 'string' },
    provider: { type: 'string' },
    profile: { type: 'string' },
    livekit: { type: 'string' },
    client: { type: 'string' },
    audio: { type: 'boolean', default: false },
    logs: { type: 'string' },
    results: { type: 'string', default: fileURLToPath(new URL('./results', import.meta.url)) },
    help: { type: 'boolean', default: false },
  },
})

function usage(): string {
  return [
    'npm run bench -- [name ...] [options]',
    '',
    ...ALL.map(
      ({ name, about }) => `  ${name.padEnd(10)} ${about}${ON_REQUEST.includes(name) ? ' (only when named)' : ''}`,
    ),
    '',
    '  --seconds N   length of one measurement',
    '  --repeat N    rounds of each measurement',
    '  --minutes N   length of soak and of recording, and of what dispatch simulates',
    '  --streams N   soak: streams at once; one unless told',
    '  --sizes A,B   256x144, 512x512, 720p, 1080p',
    '  --viewers A,B viewers: how many watch at once, rising; 1,10,30,60 unless told',
    '  --loss N      viewers: part of the packets that their network loses, in percent',
    '  --peer CMD    trickle, viewers: starts another server to compare with; {port} stands for its port',
    '  --peer-url U  trickle: where that server has its channels; http://127.0.0.1:{port}/trickle unless told',
    '                viewers: where it has /whip/… and /whep/…; http://127.0.0.1:{port} unless told',
    '                remote: an RTSP server that takes publishers, such as rtsp://127.0.0.1:8554',
    '  --provider P  shared: what computes the model, cpu or cuda',
    '  --livekit P   cluster: a livekit-server, built with Go (bench/cluster/README.md)',
    '  --client DIR  cluster: a folder in which @livekit/rtc-node is installed',
    '  --audio       cluster: the camera has a microphone',
    '  --logs DIR    cluster: keeps the logs of all programs there',
    '  --profile DIR writes CPU profiles of the server and the runners there',
    '  --results DIR where results go; bench/results unless told',
  ].join('\n')
}

function number(name: 'seconds' | 'repeat' | 'minutes' | 'streams' | 'loss'): Record<string, number> {
  const text = values[name]
  if (text === undefined) return {}
  const value = Number(text)
  if (!(value > 0)) throw new Error(`--${name} is "${text}"; a number above 0 is accepted`)
  return { [name]: value }
}

function rising(text: string): number[] {
  const numbers = text.split(',').map(Number)
  const good = numbers.length > 1 && numbers.every((one, i) => Number.isInteger(one) && one > (numbers[i - 1] ?? 0))
  if (!good) throw new Error(`--viewers is "${text}"; two rising whole numbers or more are accepted, as in 1,10`)
  return numbers
}

function provider(text: string): 'cpu' | 'cuda' {
  if (text === 'cpu' || text === 'cuda') return text
  throw new Error(`--provider is "${text}"; cpu and cuda are accepted`)
}

function readOptions(): Options {
  return {
    ...number('seconds'),
    ...number('repeat'),
    ...number('minutes'),
    ...number('streams'),
    ...number('loss'),
    ...(values.viewers && { viewers: rising(values.viewers) }),
    ...(values.sizes && { sizes: values.sizes.split(',') }),
    ...(values.peer && { peer: values.peer }),
    ...(values['peer-url'] && { peerUrl: values['peer-url'] }),
    ...(values.provider && { provider: provider(values.provider) }),
    ...(values.profile && { profile: values.profile }),
    ...(values.livekit && { livekit: values.livekit }),
    ...(values.client && { client: values.client }),
    ...(values.audio && { audio: true }),
    ...(values.logs && { logs: values.logs }),
  }
}

function chosen(): Benchmark[] {
  if (positionals.length === 0) return ALL.filter(({ name }) => !ON_REQUEST.includes(name))
  return positionals.map((name) => {
    const found = ALL.find((one) => one.name === name)
    if (!found) throw new Error(`there is no benchmark "${name}"; there are ${ALL.map((one) => one.name).join(', ')}`)
    return found
  })
}

async function main(): Promise<void> {
  if (values.help) {
    console.log(usage())
    return
  }
  const options = readOptions()
  // Where programs and folders are on this machine says nothing to a reader.
  const { livekit: _, client: __, logs: ___, profile: ____, ...settings } = options
  if (options.peer && chosen().filter(({ name }) => WITH_PEER.includes(name)).length !== 1) {
    throw new Error(`--peer is for one benchmark at a time, ${WITH_PEER.join(' or ')}`)
  }
  for (const { name, about, run } of chosen()) {
    const machine = await describeMachine()
    const at = new Date().toISOString()
    const watch = watchMachine()
    const findings = await run(options, (line) => console.error(`  ${line}`))
    await writeReport({ benchmark: name, about, at, settings, machine, during: watch(), ...findings }, values.results)
    console.log(`\n# ${name}\n\n${tell(findings)}`)
  }
}

await main().catch((thrown: unknown) => {
  console.error(thrown instanceof Error ? (thrown.stack ?? thrown.message) : thrown)
  process.exitCode = 1
})
