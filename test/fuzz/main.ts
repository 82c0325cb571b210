/** `npm run fuzz [target ...] [-- --seconds N]`: coverage-guided fuzzing of the parsers of outside bytes, by jazzer.js. */
import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { targets } from './targets.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const WORK = join(ROOT, 'fuzz.tmp')
const JAZZER = '@jazzer.js/core@4.0.0'
/** Time limit per input; libFuzzer takes whole seconds. */
const INPUT_SECONDS = 2
const MEMORY_MIB = 1536
const MAX_INPUT_BYTES = 32 * 1024

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { seconds: { type: 'string', default: '600' } },
})
const seconds = Number(values.seconds)
const names = positionals.length > 0 ? positionals : Object.keys(targets)
for (const name of names) {
  if (!targets[name]) fail(`no target is called "${name}"; there are ${Object.keys(targets).join(', ')}`)
}
if (!(seconds >= names.length)) fail(`--seconds must be a number of at least ${names.length}, for all targets together`)

function fail(why: string): never {
  console.error(why)
  process.exit(2)
}

function run(command: string, args: string[], env: NodeJS.ProcessEnv = {}): number {
  return spawnSync(command, args, { cwd: ROOT, stdio: 'inherit', env: { ...process.env, ...env } }).status ?? 1
}

rmSync(join(WORK, 'code'), { recursive: true, force: true })
mkdirSync(join(WORK, 'jazzer'), { recursive: true })
// jazzer.js instruments JavaScript, so the sources are compiled; it is installed on demand, for this command only.
if (run('npx', ['tsc', '-p', 'test/fuzz/tsconfig.json', '--outDir', join(WORK, 'code')]) !== 0) process.exit(1)
writeFileSync(join(WORK, 'code', 'package.json'), '{"type":"module"}\n')
writeFileSync(join(WORK, 'jazzer', 'package.json'), '{"private":true}\n')
if (run('npm', ['install', '--prefix', join(WORK, 'jazzer'), '--no-audit', '--no-fund', '--no-save', JAZZER]) !== 0)
  process.exit(1)

function libFuzzer(name: string, directories: string[], options: string[]): number {
  const cli = join(WORK, 'jazzer', 'node_modules', '@jazzer.js', 'core', 'dist', 'cli.js')
  const entry = join(WORK, 'code', 'test', 'fuzz', 'entry.js')
  const bounds = [`-timeout=${INPUT_SECONDS}`, `-rss_limit_mb=${MEMORY_MIB}`, `-max_len=${MAX_INPUT_BYTES}`]
  const flags = ['--sync', '--includes', 'fuzz.tmp/code/src', '--excludes', 'node_modules']
  // `FUZZ_LOADER` may name a dynamic loader with its options, for a C library newer than the system's.
  const [command, ...before] = [...(process.env.FUZZ_LOADER?.split(' ') ?? []), process.execPath]
  const args = [...before, cli, entry, ...directories, ...flags, '--', ...bounds, ...options]
  return run(command as string, args, { FUZZ_TARGET: name })
}

const failed: string[] = []
for (const name of names) {
  const [corpus, grown, findings] = ['corpus', 'grown', 'findings'].map((kind) => join(WORK, kind, name)) as [
    string,
    string,
    string,
  ]
  for (const folder of [corpus, grown, findings]) mkdirSync(folder, { recursive: true })
  const kept = join(ROOT, 'test', 'fuzz', 'corpus', name)
  mkdirSync(kept, { recursive: true })
  cpSync(kept, corpus, { recursive: true })
  console.log(`\n== ${name}, ${Math.floor(seconds / names.length)} s`)
  const options = [`-max_total_time=${Math.floor(seconds / names.length)}`, `-artifact_prefix=${findings}/`]
  if (libFuzzer(name, [grown, corpus], [...options, '-print_final_stats=1']) !== 0) failed.push(name)
  if (readdirSync(findings).length > 0) failed.push(name)
}
if (failed.length > 0) fail(`findings in ${[...new Set(failed)].join(', ')}: see fuzz.tmp/findings`)
