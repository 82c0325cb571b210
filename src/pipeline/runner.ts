/** The process that runs an author's pipeline; the only place where author code is imported. */
import { mkdirSync } from 'node:fs'
import { AppError } from '../core/errors.ts'
import { deadline } from '../core/resource.ts'
import type { PipelineClass, PipelineContext } from '../sdk/pipeline-class.ts'
import { REGION_BYTES } from './frame-layout.ts'
import { checkRegion } from './frame-ring.ts'
import { FD, type RunnerMessage, ServerMessage } from './protocol.ts'
import { describePipeline, importPipeline, useServerSdk } from './runner-author.ts'
import { Doorbell } from './runner-doorbell.ts'
import { guardLife, setEnvironment } from './runner-guards.ts'
import { ParamsDesk } from './runner-params.ts'
import { AuthorLog, describe, ErrorReports } from './runner-reports.ts'
import { Stage } from './runner-stage.ts'
import { mapSharedFile } from './shared-memory.ts'

type Start = Extract<ServerMessage, { type: 'start' }>

/** Author code gets this long to stop in order. */
const STOP_MS = 2000

const channel = process.send!.bind(process)
const stopping = new AbortController()

function send(message: RunnerMessage): void {
  channel(message)
}

/** Ends this process when all its messages are out. */
function leave(): void {
  channel({ type: 'log', level: 'debug', message: 'the runner ends' } satisfies RunnerMessage, () => process.exit(0))
}

function fail(thrown: unknown): void {
  const error = AppError.from(thrown, 'pipeline-failed')
  const cause = error.cause ? { details: { ...error.details, cause: describe(error.cause) } } : {}
  channel({ type: 'failed', error: { ...error.toJSON(), ...cause } } satisfies RunnerMessage, () => process.exit(1))
}

async function run(start: Start, onStage: (stage: Stage, desk: ParamsDesk) => void): Promise<void> {
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
  } else await serve(start, Author, description, context, onStage)
}

async function serve(
  start: Start,
  Author: PipelineClass,
  description: ReturnType<typeof describePipeline>,
  context: PipelineContext,
  onStage: (stage: Stage, desk: ParamsDesk) => void,
): Promise<void> {
  const { buffer } = mapSharedFile(FD.frames, REGION_BYTES)
  checkRegion(buffer)
  const desk = new ParamsDesk(Author.Params, start, (answer) => {
    const { id } = answer
    if (answer.ok) send({ type: 'done', id, status: answer.status, revision: answer.revision, params: answer.params })
    else send({ type: 'refused', id, error: answer.error.toJSON() })
  })
  const pipeline = new Author()
  const doorbell = Doorbell.onDescriptor(FD.doorbell, () => stage.wake())
  const errors = new ErrorReports(send)
  const stage: Stage = new Stage({ pipeline, desk, buffer, doorbell, errors, send, context })
  process.on('unhandledRejection', (reason) => errors.report('a promise nobody waits for', reason))
  onStage(stage, desk)
  send({ type: 'imported', description, params: desk.inForce.value })
  await stage.run()
  await deadline(pipeline.stop(), STOP_MS, 'stop()')
}

function main(): void {
  guardLife(() => process.exit(1))
  setEnvironment(process.argv[2] ?? '')
  useServerSdk()
  // Author code that looks for it would take itself for a child of its own.
  process.send = undefined
  let stage: Stage | undefined
  let desk: ParamsDesk | undefined

  const stop = () => {
    stopping.abort()
    // A pipeline that is busy with a frame, or hangs, is not waited for longer.
    setTimeout(() => process.exit(0), STOP_MS + 500)
  }
  process.once('SIGTERM', stop)
  // The terminal's Ctrl-C is for the server, which then ends this process.
  process.on('SIGINT', () => {})
  process.once('uncaughtException', fail)

  process.on('message', (raw) => {
    const message = ServerMessage.parse(raw)
    if (message.type === 'start') {
      run(message, (newStage, newDesk) => {
        stage = newStage
        desk = newDesk
      }).then(leave, fail)
    } else if (message.type === 'lease') stage?.lease(message)
    else if (message.type === 'release') stage?.release(message)
    else if (message.type === 'update') {
      desk?.update(message.id, message.mode, message.value)
      stage?.wake()
    } else stop()
  })
}

main()
