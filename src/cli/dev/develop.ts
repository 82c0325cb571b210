import { spawn } from 'node:child_process'
import { relative } from 'node:path'
import type { Config } from '../../config.ts'
import { nowMs } from '../../core/clock.ts'
import { AppError } from '../../core/errors.ts'
import { aborted, type Context, sleep } from '../../core/resource.ts'
import { findProgram } from '../../ffmpeg/probe.ts'
import type { PipelineEntry } from '../../pipeline/catalog/entry.ts'
import { openServer } from '../../server.ts'
import type { StreamEvent } from '../../stream/events.ts'
import type { StreamRegistry } from '../../stream/registry.ts'
import { codeFrame, placeIn } from './code-place.ts'
import { keepPublishing } from './input.ts'
import { readOwnPackage } from './own-package.ts'
import { watchCode } from './watch.ts'

export type DevOptions = {
  /** Folder of the package: absolute, and the working directory. */
  folder: string
  config: Config
  version: string
  /** The package's pipelines. */
  own: PipelineEntry[]
  /** Name of one of them. */
  pipeline: string
  /** Initial params. */
  params: Record<string, unknown> | undefined
  /** The absolute path of a file, a URL, or `test`. */
  input: string
  /** Whether to open the page in the browser. */
  open: boolean
}

const STREAM = 'dev'
/** On air until the package loads. */
const FIRST = 'noop'
const MANIFESTS = ['package.json', 'pyproject.toml']
const LIVE_MS = 20_000

type Say = (text: string) => void

/**
 * Serves a package from its sources until the signal aborts: each save loads the new code beside the old, which stays
 * on air meanwhile.
 */
export async function develop(options: DevOptions, say: Say, context: Context): Promise<void> {
  const { config, version, own, input, folder, pipeline } = options
  await using server = await openServer(config, { version, own }, context)
  const page = `${server.url}/?stream=${STREAM}`
  say(`\n  ${pipeline} from ${folder}\n  ${page}\n`)
  const ffmpeg = await findProgram({ path: config.ffmpegPath, log: context.log })
  const url = `${server.url}/ingest/${STREAM}?pipeline=${FIRST}`
  await using _publishing = keepPublishing({ ffmpeg, input, url, authToken: config.authToken, say }, context)
  await live(server.streams, context.signal)
  const leave = server.streams.get(STREAM).events.subscribe((event) => tell(event, folder, say))
  const loading = new Loading(options, server.streams, say)
  const stopWatching = await watchCode(folder, (files) => void loading.load(files))
  try {
    await loading.load([])
    if (options.open) openBrowser(page)
    if (context.signal) await Promise.race([aborted(context.signal), server.closed])
  } finally {
    leave()
    await stopWatching()
  }
}

/** Puts the package's code on air, again after each save. */
class Loading {
  readonly #options: DevOptions
  readonly #streams: StreamRegistry
  readonly #say: Say
  #params: Record<string, unknown> | undefined

  constructor(options: DevOptions, streams: StreamRegistry, say: Say) {
    this.#options = options
    this.#streams = streams
    this.#say = say
    this.#params = options.params
  }

  /** `files` were saved. Supersedes a load in progress. */
  async load(files: string[]): Promise<void> {
    const { pipeline, folder } = this.#options
    const began = nowMs()
    try {
      if (files.some((file) => MANIFESTS.includes(file))) this.#readManifest()
      const explain = (error: AppError) => explained(error, folder)
      const stream = this.#streams.get(STREAM)
      await stream.swapPipeline(pipeline, { ...(this.#params && { params: this.#params }), fresh: true, explain })
      this.#params = undefined
      const what = files.length > 0 ? `${files.slice(0, 3).join(', ')} saved: ` : ''
      this.#say(`  ${what}on air after ${((nowMs() - began) / 1000).toFixed(1)} s`)
    } catch (thrown) {
      const error = AppError.from(thrown)
      // A later save superseded this one.
      if (error.code === 'conflict') return
      this.#say(`\n  ${error.message}\n${frameOf(error)}  The previous code stays on air.\n`)
    }
  }

  /** New declarations replace known ones of the same name. */
  #readManifest(): void {
    const { folder, version, config, own } = this.#options
    const entries = readOwnPackage(folder, version, config.python)
    for (const entry of own)
      Object.assign(
        entry,
        entries.find(({ name }) => name === entry.name),
      )
  }
}

/** Adds the lines of the author's code to `details.code`. */
function explained(error: AppError, folder: string): AppError {
  const { stack = '', cause = '', lines = [] } = (error.details ?? {}) as Record<string, string | string[]>
  const place = placeIn(folder, [stack, cause, error.message, lines].flat().join('\n'))
  if (!place) return error
  const { code, message, retryable, issues } = error
  const shown = { file: relative(folder, place.file), line: place.line, text: codeFrame(place) }
  return new AppError(code, message, {
    cause: error,
    retryable,
    ...(issues && { issues }),
    details: { ...error.details, code: place.column ? { ...shown, column: place.column } : shown },
  })
}

function frameOf({ details }: AppError): string {
  const code = details?.code as { file: string; line: number; column?: number; text: string } | undefined
  if (!code) return ''
  const place = [code.file, code.line, code.column].filter((part) => part !== undefined).join(':')
  return `\n  ${place}\n${code.text.replace(/^/gm, '  ')}\n\n`
}

/** Reports what the pipeline prints, and what it throws while on air. */
function tell(event: StreamEvent, folder: string, say: Say): void {
  if (event.type === 'log') say(`  | ${event.line}`)
  else if (event.type === 'error' && event.source === 'pipeline') {
    const error = explained(new AppError('pipeline-failed', event.message), folder)
    say(`\n  ${error.message}\n${frameOf(error)}`)
  }
}

async function live(streams: StreamRegistry, signal?: AbortSignal): Promise<void> {
  const until = nowMs() + LIVE_MS
  while (!streams.streams.some(({ name, live }) => name === STREAM && live)) {
    if (nowMs() > until) throw new AppError('timeout', `no frame arrived from the input within ${LIVE_MS / 1000} s`)
    await sleep(50, signal)
  }
}

function openBrowser(url: string): void {
  const [command, ...args] = { darwin: ['open'], win32: ['cmd', '/c', 'start', ''] }[process.platform as string] ?? [
    'xdg-open',
  ]
  const child = spawn(command!, [...args, url], { stdio: 'ignore', detached: true })
  // The address is also printed on the terminal.
  child.on('error', () => {})
  child.unref()
}
