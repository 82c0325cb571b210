/** The process that runs an author's pipeline; the only place where author code is imported. */
import { mkdirSync } from 'node:fs'
import { Socket } from 'node:net'
import { AppError } from '../../core/errors.ts'
import { deadline } from '../../core/resource.ts'
import type { PipelineClass, PipelineContext } from '../../sdk/pipeline-class.ts'
import { ControlChannel } from '../control-channel.ts'
import { FD, type RunnerMessage, ServerMessage } from '../protocol.ts'
import { Doorbell } from '../ring/doorbell.ts'
import { REGION_BYTES } from '../ring/frame-layout.ts'
import { checkRegion } from '../ring/frame-ring.ts'
import { mapSharedFile } from '../ring/shared-memory.ts'
import { describePipeline, importPipeline, useServerSdk } from './author.ts'
import { guardLife, setMark } from './guards.ts'
import { ParamsStore } from './params.ts'
import { ProcessLoop } from './process-loop.ts'
import { AuthorLog, describe, ErrorReports } from './reports.ts'

type Start = Extract<ServerMessage, { type: 'start' }>

/** Author code gets this long to stop in order. */
const STOP_MS = 2000

const stopping = new AbortController()
const control = new Socket({ fd: FD.control, readable: true, writable: true })
const channel = new ControlChannel(control, { onMessage, onBroken: fail })
let loop: ProcessLoop | undefined
let store: ParamsStore | undefined

function send(message: RunnerMessage): void {
  channel.send(message)
}

/** Ends this process when all its messages are out. */
function leave(): void {
  channel.send({ type: 'log', level: 'debug', message: 'the runner ends' } satisfies RunnerMessage, () =>
    process.exit(0),
  )
}

function fail(thrown: unknown): void {
  const error = AppError.from(thrown, 'pipeline-failed')
  const cause = error.cause ? { details: { ...error.details, cause: describe(error.cause) } } : {}
  channel.send({ type: 'failed', error: { ...error.toJSON(), ...cause } } satisfies RunnerMessage, () =>
    process.exit(1),
  )
}

async function run(start: Start): Promise<void> {
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
  const { buffer } = mapSharedFile(FD.frames, REGION_BYTES)
  checkRegion(buffer)
  const params = new ParamsStore(Author.Params, start, (answer) => {
    const { id } = answer
    if (answer.ok) send({ type: 'done', id, status: answer.status, revision: answer.revision, params: answer.params })
    else send({ type: 'refused', id, error: answer.error.toJSON() })
  })
  const pipeline = new Author()
  const doorbell = Doorbell.onDescriptor(FD.doorbell, () => processLoop.wake())
  const errors = new ErrorReports(send)
  const processLoop: ProcessLoop = new ProcessLoop({ pipeline, store: params, buffer, doorbell, errors, send, context })
  process.on('unhandledRejection', (reason) => errors.report('a promise nobody waits for', reason))
  loop = processLoop
  store = params
  send({ type: 'imported', description, params: params.inForce.value })
  await processLoop.run()
  await deadline(pipeline.stop(), STOP_MS, 'stop()')
}

function stop(): void {
  stopping.abort()
  // A pipeline that is busy with a frame, or hangs, is not waited for longer.
  setTimeout(() => process.exit(0), STOP_MS + 500)
}

function onMessage(raw: unknown): void {
  const message = ServerMessage.parse(raw)
  if (message.type === 'start') {
    run(message).then(leave, fail)
  } else if (message.type === 'lease') loop?.lease(message)
  else if (message.type === 'release') loop?.release(message)
  else if (message.type === 'update') {
    store?.update(message.id, message.mode, message.value)
    loop?.wake()
  } else stop()
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
