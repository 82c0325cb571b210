import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import type { Command } from 'commander'
import { pino } from 'pino'
import pretty from 'pino-pretty'
import { parseJsonObject } from '../../codec/json.ts'
import { readConfig } from '../../config.ts'
import { AppError } from '../../core/errors.ts'
import { about, environment, forgetSecrets, stopSignal } from '../surroundings.ts'

type Flags = { input: string; open?: boolean; pipeline?: string; params?: string; port?: string }

/** `millrace dev`. */
export function addDev(program: Command): void {
  program
    .command('dev')
    .description('run the pipeline of a package from its sources, and reload it on each save')
    .argument('[folder]', 'a folder with a package.json or pyproject.toml', '.')
    .option('--input <source>', 'a video file (repeated), a URL, or test', 'test')
    .option('--open', 'open the page in the browser')
    .option('--pipeline <name>', 'name of the pipeline, if the package has several')
    .option('--params <json>', 'initial params')
    .option('--port <port>', 'HTTP port (PORT)')
    .action(async (folder: string, flags: Flags) => {
      using stop = stopSignal()
      await dev(resolve(folder), flags, stop.signal)
    })
}

async function dev(folder: string, flags: Flags, signal: AbortSignal): Promise<void> {
  if (!existsSync(folder)) throw new AppError('invalid-request', `there is no folder ${folder}`)
  const params = flags.params === undefined ? undefined : parseJsonObject(flags.params, '--params')
  const input = inputOf(flags.input)
  // Uses the settings, models and installed pipelines of a server that is started there.
  process.chdir(folder)
  const { readOwnPackage } = await import('./own-package.ts')
  const own = readOwnPackage(folder, about.version, readConfig(environment).python)
  const pipeline = flags.pipeline ?? own[0]!.name
  if (!own.some(({ name }) => name === pipeline)) {
    const names = own.map(({ name }) => name).join(', ')
    throw new AppError('invalid-request', `--pipeline ${pipeline}: the package has ${names}`)
  }
  const { PIPELINE_PARAMS: _, MODEL_ID: __, ...settings } = environment
  const port = flags.port === undefined ? {} : { PORT: flags.port }
  const config = readConfig({ ...settings, PIPELINE: pipeline, WARM_PIPELINES: '0', ...port })
  forgetSecrets()
  const level = settings.LOG_LEVEL ? config.logLevel : 'silent'
  const log = process.stderr.isTTY ? pino({ level }, pretty({ destination: 2 })) : pino({ level }, pino.destination(2))
  const { develop } = await import('./develop.ts')
  const options = { folder, config, version: about.version, own, pipeline, params, input, open: flags.open ?? false }
  await develop(options, (text) => console.log(text), { signal, log })
}

/** The absolute path of a file, a URL, or `test`. @throws AppError `invalid-request` */
function inputOf(source: string): string {
  if (source === 'test' || /^[a-z]+:\/\//i.test(source)) return source
  const file = resolve(source)
  if (existsSync(file)) return file
  throw new AppError('invalid-request', `--input ${source} is no file; accepted are a video file, a URL, and test`)
}
