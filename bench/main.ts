/** `npm run bench [name ...]`: runs benchmarks and writes their results; without a name it runs all but `soak`. */
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { latency } from './latency.ts'
import type { Benchmark, Options } from './lib/benchmark.ts'
import { describeMachine, watchMachine } from './lib/machine.ts'
import { tell, writeReport } from './lib/report.ts'
import { ring } from './ring.ts'
import { soak } from './soak.ts'
import { start } from './start.ts'
import { streams } from './streams.ts'
import { transcode } from './transcode.ts'
import { trickle } from './trickle.ts'
import { viewers } from './viewers.ts'

const ALL: Benchmark[] = [transcode, latency, streams, viewers, trickle, start, ring, soak]
/** Takes as long as it is told to, so it runs only when it is named. */
const ON_REQUEST = ['soak']
/** Each speaks to its peer in a way of its own. */
const WITH_PEER = ['trickle', 'viewers']

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seconds: { type: 'string' },
    repeat: { type: 'string' },
    minutes: { type: 'string' },
    sizes: { type: 'string' },
    peer: { type: 'string' },
    'peer-url': { type: 'string' },
    profile: { type: 'string' },
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
    '  --minutes N   length of soak',
    '  --sizes A,B   256x144, 512x512, 720p, 1080p',
    '  --peer CMD    trickle, viewers: starts another server to compare with; {port} stands for its port',
    '  --peer-url U  trickle: where that server has its channels; http://127.0.0.1:{port}/trickle unless told',
    '                viewers: where it has /whip/… and /whep/…; http://127.0.0.1:{port} unless told',
    '  --profile DIR writes CPU profiles of the server and the runners there',
    '  --results DIR where results go; bench/results unless told',
  ].join('\n')
}

function number(name: 'seconds' | 'repeat' | 'minutes'): Record<string, number> {
  const text = values[name]
  if (text === undefined) return {}
  const value = Number(text)
  if (!(value > 0)) throw new Error(`--${name} is "${text}"; a number above 0 is accepted`)
  return { [name]: value }
}

function readOptions(): Options {
  return {
    ...number('seconds'),
    ...number('repeat'),
    ...number('minutes'),
    ...(values.sizes && { sizes: values.sizes.split(',') }),
    ...(values.peer && { peer: values.peer }),
    ...(values['peer-url'] && { peerUrl: values['peer-url'] }),
    ...(values.profile && { profile: values.profile }),
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
  if (options.peer && chosen().filter(({ name }) => WITH_PEER.includes(name)).length !== 1) {
    throw new Error(`--peer is for one benchmark at a time, ${WITH_PEER.join(' or ')}`)
  }
  for (const { name, about, run } of chosen()) {
    const machine = await describeMachine()
    const at = new Date().toISOString()
    const watch = watchMachine()
    const findings = await run(options, (line) => console.error(`  ${line}`))
    await writeReport(
      { benchmark: name, about, at, settings: { ...options }, machine, during: watch(), ...findings },
      values.results,
    )
    console.log(`\n# ${name}\n\n${tell(findings)}`)
  }
}

await main().catch((thrown: unknown) => {
  console.error(thrown instanceof Error ? (thrown.stack ?? thrown.message) : thrown)
  process.exitCode = 1
})
