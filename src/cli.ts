#!/usr/bin/env node
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import { Command } from 'commander'
import { type Config, readConfig, type SettingName } from './config.ts'
import { AppError } from './core/errors.ts'
import { SECRET_SETTINGS } from './core/secrets.ts'
import { discoverPipelines } from './pipeline/catalog/catalog.ts'

const about = createRequire(import.meta.url)('../package.json') as {
  version: string
  devDependencies: Record<string, string>
}

/** Flags of `serve` and the settings they stand for. */
const FLAGS: [flag: string, setting: SettingName, help: string][] = [
  ['--port <port>', 'PORT', 'HTTP port'],
  ['--host <address>', 'HOST', 'HTTP address'],
  ['--pipeline <name>', 'PIPELINE', 'pipeline for streams that name none'],
  ['--params <json>', 'PIPELINE_PARAMS', 'its initial params'],
  ['--pipeline-dir <folder>', 'PIPELINE_DIR', 'where installed pipelines live'],
  ['--max-streams <count>', 'MAX_STREAMS', 'streams at once'],
  ['--public-ip <address>', 'PUBLIC_IP', 'address that WebRTC clients can reach'],
  ['--udp-ports <range>', 'UDP_PORTS', 'UDP ports for WebRTC'],
  ['--ffmpeg <file>', 'FFMPEG_PATH', 'ffmpeg to use'],
  ['--log-level <level>', 'LOG_LEVEL', 'trace, debug, info, warn, error'],
]

const program = new Command('millrace')
  .description('Puts live video streams through an AI pipeline and back out to viewers.')
  .version(about.version)
  .exitOverride((error) => {
    process.exitCode = error.exitCode === 0 ? 0 : 2
    throw error
  })

const serveCommand = program.command('serve', { isDefault: true }).description('run the server (the default)')
for (const [flag, setting, help] of FLAGS) serveCommand.option(flag, `${help} (${setting})`)
serveCommand.action(async (options: Record<string, string>) => {
  const environment = { ...process.env, ...settingsOf(options) }
  const config = readConfig(environment)
  if (config.prepareModels) return prepare(environment.PIPELINE || environment.MODEL_ID ? config.pipeline : undefined)
  // What is started from here inherits the environment: ffmpeg, and pipelines that others wrote.
  for (const name of SECRET_SETTINGS) delete process.env[name]
  await autoInstall(config)
  const { serve } = await import('./main.ts')
  await serve(config)
})

program
  .command('pipelines')
  .description('list the pipelines that were found, and why others were not')
  .option('--json', 'as JSON')
  .option('--verbose', 'also what was rejected, and where it was looked for')
  .action(async (options: { json?: boolean; verbose?: boolean }) => {
    const config = readConfig(process.env)
    const catalog = await discoverPipelines({
      builtinDir: builtinDir(),
      appDir: process.cwd(),
      pipelineDir: config.pipelineDir,
      python: config.python,
    })
    const found = [...catalog.pipelines.values()]
    if (options.json) {
      console.log(JSON.stringify({ pipelines: found, rejected: catalog.rejected }, null, 2))
      return
    }
    for (const entry of found) {
      console.log(
        `${entry.name.padEnd(24)} ${entry.package.name}@${entry.package.version}  ${entry.package.description ?? ''}`,
      )
      if (options.verbose) console.log(`${''.padEnd(24)} ${entry.interpreter ?? entry.entryFile}#${entry.exportName}`)
    }
    const rejected = options.verbose ? catalog.rejected : []
    for (const { where, reason } of rejected) console.log(`rejected  ${where}: ${reason}`)
  })

program
  .command('prepare')
  .description('let pipelines download or compile their models, and exit')
  .argument('[name]', 'the pipeline; all of them unless told')
  .action(prepare)

program
  .command('install')
  .description('put Python pipelines into PIPELINE_DIR, each in a virtual environment of its own')
  .argument('<spec...>', 'pip:my-pipeline==1.2.3, pip:./folder, pip:git+https://…@<commit>')
  .action(async (specs: string[]) => {
    const { pipelineDir, python } = readConfig(process.env)
    const unknown = specs.find((spec) => !spec.startsWith('pip:'))
    if (unknown !== undefined)
      throw new AppError(
        'invalid-request',
        `${JSON.stringify(unknown)} must begin with pip:; an npm package is installed with npm install in the folder the server is started in`,
      )
    const { installPython } = await import('./pipeline/catalog/python-install.ts')
    const { PrepareReport } = await import('./cli/prepare-report.ts')
    using stop = stopSignal()
    const context = { log: new PrepareReport(process.stderr).log(), signal: stop.signal }
    for (const spec of specs) {
      const options = { spec: spec.slice('pip:'.length), pipelineDir, appDir: process.cwd(), python }
      for (const { name, package: from } of await installPython(options, context))
        console.log(`${name.padEnd(24)} ${from.name}@${from.version}`)
    }
  })

program
  .command('uninstall')
  .description('take a Python pipeline that was installed into PIPELINE_DIR out again')
  .argument('<name>', 'of the pipeline or of its package')
  .action(async (name: string) => {
    const { pipelineDir } = readConfig(process.env)
    const { uninstallPython } = await import('./pipeline/catalog/python-install.ts')
    for (const gone of uninstallPython(name, pipelineDir)) console.log(gone)
  })

program
  .command('new')
  .description('write a pipeline package, with TypeScript, params and a test')
  .argument('<folder>', 'a new folder; its name is that of the package and of the pipeline')
  .action(async (directory: string) => {
    const { writeNewPackage } = await import('./scaffold/new-package.ts')
    // From a checkout the package uses that; what npm installed is asked for by its version.
    const checkout = import.meta.url.endsWith('.ts') ? fileURLToPath(new URL('..', import.meta.url)) : undefined
    const { version, devDependencies: tools } = about
    const files = writeNewPackage({ directory, version, tools, ...(checkout && { checkout }) })
    for (const file of files) console.log(`  ${file}`)
    console.log(`\nNext: cd ${directory} && npm install && npm test && npm start`)
    if (checkout) console.log(`It uses this checkout: run "npm run build" in ${checkout} once, first.`)
  })

program
  .command('doctor')
  .description('say what is missing on this machine, and how to mend it; exit code 1 when the server would not run')
  .option('--json', 'as JSON')
  .action(async ({ json }: { json?: boolean }) => {
    const config = readConfig(process.env)
    const { examine } = await import('./doctor/doctor.ts')
    const { reportOf } = await import('./doctor/finding.ts')
    const { pino } = await import('pino')
    const { pipelineDir, python } = config
    const pipelines = { builtinDir: builtinDir(), appDir: process.cwd(), pipelineDir, python }
    const findings = await examine({ ...config, pipelines }, pino({ level: 'silent' }))
    console.log(json ? JSON.stringify(findings, null, 2) : reportOf(findings))
    if (findings.some(({ state }) => state === 'missing')) process.exitCode = 1
  })

try {
  await program.parseAsync()
} catch (thrown) {
  if (thrown instanceof AppError) {
    console.error(`millrace: ${thrown.message}`)
    process.exitCode = thrown.code === 'invalid-request' ? 2 : 1
  } else if (process.exitCode === undefined) throw thrown
}

/** As a command, and what `PREPARE_MODELS=1` turns `serve` into. */
async function prepare(name: string | undefined): Promise<void> {
  const config = readConfig(process.env)
  const { pipelineDir, modelDir, python } = config
  await autoInstall(config)
  const catalog = await discoverPipelines({ builtinDir: builtinDir(), appDir: process.cwd(), pipelineDir, python })
  const { prepareModels } = await import('./cli/prepare-models.ts')
  const names = name === undefined ? [...catalog.pipelines.keys()] : [name]
  using stop = stopSignal()
  const failed = await prepareModels(catalog, names, { modelDir, output: process.stdout, signal: stop.signal })
  if (failed.length > 0) process.exitCode = 1
}

/** `AUTO_INSTALL_PIPELINE`, before anything is looked for; whatever goes wrong with it ends the start. */
async function autoInstall({ autoInstall, pipelineDir, python }: Config): Promise<void> {
  if (autoInstall.length === 0) return
  const { installPipelines } = await import('./pipeline/catalog/install.ts')
  const { PrepareReport } = await import('./cli/prepare-report.ts')
  using stop = stopSignal()
  const context = { log: new PrepareReport(process.stderr).log(), signal: stop.signal }
  const appDir = process.cwd()
  const ofPip = autoInstall.filter((spec) => spec.startsWith('pip:'))
  const specs = autoInstall.filter((spec) => !spec.startsWith('pip:'))
  await installPipelines({ specs, pipelineDir, appDir, version: about.version }, context)
  if (ofPip.length === 0) return
  const { installPython } = await import('./pipeline/catalog/python-install.ts')
  for (const spec of ofPip)
    await installPython({ spec: spec.slice('pip:'.length), pipelineDir, appDir, python, pinned: true }, context)
}

/** Aborted by what asks the process to end, as long as it is in use. */
function stopSignal(): { signal: AbortSignal } & Disposable {
  const stop = new AbortController()
  const abort = () => stop.abort()
  const signals = ['SIGINT', 'SIGTERM'] as const
  for (const signal of signals) process.once(signal, abort)
  return {
    signal: stop.signal,
    [Symbol.dispose]: () => {
      for (const signal of signals) process.off(signal, abort)
    },
  }
}

/** The built-in pipelines stand beside `src`, in the repository as in the published package. */
function builtinDir(): string {
  return fileURLToPath(new URL('../pipelines', import.meta.url))
}

function settingsOf(options: Record<string, string>): Record<string, string> {
  const entries = FLAGS.map(([flag, setting]) => {
    const name = flag.slice(2, flag.indexOf(' ')).replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase())
    return [setting, options[name]] as const
  })
  return Object.fromEntries(entries.filter((entry): entry is readonly [SettingName, string] => entry[1] !== undefined))
}
