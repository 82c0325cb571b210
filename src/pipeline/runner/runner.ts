/** The process that runs an author's pipeline; the only place where author code is imported. */
import { closeSync, mkdirSync, openSync } from 'node:fs'
import { Socket } from 'node:net'
import { AppError } from '../../core/errors.ts'
import { aborted, deadline } from '../../core/resource.ts'
import type { PipelineClass, PipelineContext } from '../../sdk/pipeline-class.ts'
import { ControlChannel } from '../control-channel.ts'
import { FD, type RunnerMessage, ServerMessage } from '../protocol.ts'
import { SHARED_BYTES } from '../ring/audio-layout.ts'
import { Doorbell } from '../ring/doorbell.ts'
import { mapSharedFile, type SharedMemory } from '../ring/shared-memory.ts'
import { describePipeline, importPipeline, useServerSdk } from './author.ts'
import { authorStack, setAuthor } from './author-stack.ts'
import { guardLife, setMark } from './guards.ts'
import { AuthorLog, describe } from './reports.ts'
import { Seat } from './seat.ts'
import { SharedModel } from './shared-model.ts'

type Start = Extract<ServerMessage, { type: 'start' }>
type Join = Pick<Start, 'params' | 'revision' | 'suspect'>

/** Time for the server to read why this process ends. */
const READ_MS = 1000
/** Time for author code to stop. */
const STOP_MS = 2000

const stopping = new AbortController()
const control = new Socket({ fd: FD.control, readable: true, writable: true })
const channel = new ControlChannel(control, { onMessage, onBroken: fail })
/** The streams of this process by number; only one unless the pipeline is shared. */
const seats = new Map<number, Seat>()
/** Called when another stream comes. */
let join: ((message: Extract<ServerMessage, { type: 'join' }>) => void) | undefined

function send(message: RunnerMessage): void {
  channel.send(message)
}

/** Ends this process once all its messages are sent. */
function leave(): void {
  channel.send({ type: 'log', level: 'debug', message: 'the runner ends' } satisfies RunnerMessage, () =>
    process.exit(0),
  )
}

function fail(thrown: unknown): void {
  const error = AppError.from(thrown, 'pipeline-failed')
  // An author's error is reported with its line; our own errors are complete messages.
  const message = error === thrown ? error.message : describe(thrown)
  const [stack = []] = [error.cause, thrown].map(authorStack).filter(({ length }) => length > 0)
  const details = {
    ...error.details,
    ...(error === thrown && error.cause !== undefined && { cause: describe(error.cause) }),
    ...(stack.length > 0 && { stack }),
  }
  const told = { ...error.toJSON(), message, ...(Object.keys(details).length > 0 && { details }) }
  // The server closes the channel when it has read the message, and that ends this process: exiting with an unread
  // message of the server's would discard our own last ones.
  channel.send({ type: 'failed', error: told } satisfies RunnerMessage, () =>
    setTimeout(() => process.exit(1), READ_MS),
  )
}

async function run(start: Start): Promise<void> {
  setAuthor(start.entryFile)
  const Author = await importPipeline(start.entryFile, start.exportName)
  const description = describePipeline(Author, start.initial)
  mkdirSync(start.modelDir, { recursive: true })
  const log = new AuthorLog(send).open()
  const context = { name: start.name, log, modelDir: start.modelDir, signal: stopping.signal }
  if (start.mode === 'describe') {
    send({ type: 'imported', description, params: description.defaults })
  } else if (start.mode === 'prepare') {
    send({ type: 'imported', description, params: description.defaults })
    await Author.prepareModels(context)
  } else await serve(start, Author, description, context)
}

async function serve(
  start: Start,
  Author: PipelineClass,
  description: ReturnType<typeof describePipeline>,
  context: PipelineContext,
): Promise<void> {
  const doorbell = Doorbell.onDescriptor(FD.doorbell, () => {
    for (const { loop } of seats.values()) loop.wake()
  })
  const shared = Author.streams > 1
  const onHang = (number: number) =>
    letGo(number, new AppError('timeout', 'processBatch did not return with its frame'))
  const onCall = (number: number, inside: boolean) => seats.get(number)?.working(inside)
  const model = shared ? new SharedModel(Author, start.initial, context, { onHang, onCall }) : undefined
  const common = { author: Author, model, doorbell, context, send, unread: () => control.writableLength }
  const { initial } = start
  const sit = (number: number, memory: SharedMemory, { params, revision, suspect }: Join): Promise<void> => {
    const of = shared ? number : undefined
    const seat = new Seat({ ...common, number: of, memory, params: { initial, params, revision } })
    seats.set(number, seat)
    if (suspect) model?.batcher.suspect(number)
    seat.send({ type: 'imported', description, params: seat.params })
    return seat.run()
  }
  join = (message) => {
    const { seat: number, frames } = message
    try {
      sit(number, openMapped(frames), message).catch(fail)
    } catch (thrown) {
      send({ type: 'left', seat: number, error: AppError.from(thrown).toJSON() })
    }
  }
  process.on('unhandledRejection', (reason) => {
    for (const { errors } of seats.values()) errors.report('a promise nobody waits for', reason)
  })
  const first = sit(0, mapSharedFile(FD.frames, SHARED_BYTES), start)
  if (model) {
    await first
    await aborted(stopping.signal)
  } else await first
  await deadline(model ? model.stop() : seats.get(0)!.pipeline.stop(), STOP_MS, 'stop()')
}

/** The other streams of the process go on. */
function letGo(number: number, error?: AppError): void {
  const seat = seats.get(number)
  seats.delete(number)
  seat?.leave(error)
}

/** Memory of the server, by its path in /proc. */
function openMapped(path: string): SharedMemory {
  const fd = openSync(path, 'r+')
  try {
    return mapSharedFile(fd, SHARED_BYTES)
  } finally {
    closeSync(fd)
  }
}

function stop(): void {
  stopping.abort()
  // A pipeline that is busy or hangs is not waited for any longer.
  setTimeout(() => process.exit(0), STOP_MS + 500)
}

function onMessage(raw: unknown): void {
  const message = ServerMessage.parse(raw)
  if (message.type === 'start') {
    run(message).then(leave, fail)
  } else if (message.type === 'join') join?.(message)
  else if (message.type === 'leave') letGo(message.seat)
  else if (message.type === 'stop') stop()
  else seats.get(message.seat ?? 0)?.receive(message)
}

function main(): void {
  guardLife(control, () => process.exit(1))
  setMark(process.argv[2] ?? '')
  useServerSdk()
  process.once('SIGTERM', stop)
  // The terminal's Ctrl-C is for the server, which then ends this process.
  process.on('SIGINT', () => {})
  process.once('uncaughtException', fail)
}

main()
