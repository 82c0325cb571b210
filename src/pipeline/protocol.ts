import { z } from 'zod'
import { ERROR_CODES, type Issue } from '../core/errors.ts'
import { PIXEL_FORMATS } from '../core/media/frame.ts'

/** Control messages between the server and one runner; frames use shared memory. See `control-channel.ts`. */
export const PROTOCOL_VERSION = 1

/** File descriptors that a runner inherits. */
export const FD = { control: 3, frames: 4, doorbell: 5 } as const

/** Set in the environment of everything that a runner starts. */
export const MARK_VARIABLE = 'MILLRACE_RUNNER'

export const Values = z.record(z.string(), z.unknown())
export type Values = z.infer<typeof Values>

export const UpdateMode = z.enum(['merge', 'replace'])
/** `merge`: RFC 7396, on the newest accepted params. `replace`: missing keys return to the variant's own params. */
export type UpdateMode = z.infer<typeof UpdateMode>

const Input = z.object({
  format: z.enum(PIXEL_FORMATS).optional(),
  width: z.int().positive().optional(),
  height: z.int().positive().optional(),
})

export const Description = z.object({
  /** One line, from the class. */
  description: z.string().optional(),
  /** The frames it wants, before params are considered. */
  input: Input,
  /** False if it processes audio only; video then passes around it. */
  video: z.boolean().default(true),
  /** How it processes audio; absent if audio bypasses it. */
  audio: z
    .object({
      mode: z.enum(['process', 'listen', 'give']),
      frameMs: z.union([z.literal(10), z.literal(20)]),
      channels: z.union([z.literal(1), z.literal(2)]),
    })
    .optional(),
  /** JSON Schema of the params as the API accepts them. */
  schema: Values,
  /** The params in effect when a stream sets none. */
  defaults: Values,
  /** Number of streams that may share a process. */
  streams: z.int().positive().default(1),
})
export type Description = z.infer<typeof Description>

const ErrorJson = z.object({
  code: z.enum(ERROR_CODES),
  message: z.string(),
  retryable: z.boolean(),
  details: Values.optional(),
  issues: z.array(z.custom<Issue>()).optional(),
})

const id = z.int().nonnegative()
/** With several streams in one process, the stream; absent: the only one, or all. */
const seat = z.int().nonnegative().optional()

export const ServerMessage = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('start'),
    version: z.literal(PROTOCOL_VERSION),
    /** `describe` and `prepare` end by themselves. */
    mode: z.enum(['serve', 'describe', 'prepare']),
    /** Name of the variant. */
    name: z.string(),
    entryFile: z.string(),
    exportName: z.string(),
    /** The variant's own params, from its manifest and the server's settings. */
    initial: Values,
    /** The params to load with: those of the waiting stream, or the last ones in effect. */
    params: Values,
    /** Revision of those params; updates count on from it. */
    revision: z.int(),
    modelDir: z.string(),
    /** A frame of its stream may have ended the previous process. */
    suspect: z.boolean().default(false),
  }),
  /** Begins a stream. `params` are complete; its size is fixed from here on. */
  z.object({
    type: z.literal('lease'),
    seat,
    id,
    requestId: z.string(),
    epoch: z.int(),
    revision: z.int(),
    params: Values,
  }),
  /** Ends the stream: back to the variant's own params; the model is kept. */
  z.object({ type: z.literal('release'), seat, id, epoch: z.int() }),
  z.object({ type: z.literal('update'), seat, id, mode: UpdateMode, value: Values }),
  /** Would it be refused? Changes nothing. */
  z.object({ type: z.literal('check'), seat, id, mode: UpdateMode, value: Values }),
  /**
   * Another stream for a running process: `frames` is the path of its memory, the rest is as in `start`. Answered like
   * a start.
   */
  z.object({
    type: z.literal('join'),
    seat: z.int().nonnegative(),
    frames: z.string(),
    params: Values,
    revision: z.int(),
    suspect: z.boolean(),
  }),
  /** The stream of this seat leaves; the process stays. */
  z.object({ type: z.literal('leave'), seat: z.int().nonnegative() }),
  z.object({ type: z.literal('stop') }),
])
export type ServerMessage = z.infer<typeof ServerMessage>

export const RunnerMessage = z.discriminatedUnion('type', [
  /** The author's module is imported and `start.params` are valid; loading begins. */
  z.object({ type: z.literal('imported'), seat, description: Description, params: Values }),
  z.object({ type: z.literal('ready'), seat }),
  /** Answers `lease`, `release`, `update` and `check`. */
  z.object({
    type: z.literal('done'),
    seat,
    id,
    /** `accepted`: valid, and applied once the pipeline has loaded. */
    status: z.enum(['applied', 'accepted']),
    revision: z.int(),
    params: Values,
  }),
  z.object({ type: z.literal('refused'), seat, id, error: ErrorJson }),
  /** The params in effect: with defaults, and as they were given. */
  z.object({ type: z.literal('params'), seat, revision: z.int(), params: Values, given: Values }),
  /** Frames are not taken until `ready`; frames of an earlier epoch never are. */
  z.object({ type: z.literal('reloading'), seat, epoch: z.int() }),
  /** Data with the time of its frame in 90 kHz ticks; `lost`: messages dropped since the runner started. */
  z.object({ type: z.literal('data'), seat, epoch: z.int(), pts: z.int(), value: z.unknown(), lost: z.int() }),
  /** An error thrown by author code; `count`: how often since the last message. */
  z.object({
    type: z.literal('error'),
    seat,
    message: z.string(),
    during: z.string(),
    count: z.int(),
    /** Lines of author code, the throwing line first. */
    stack: z.array(z.string()).optional(),
  }),
  z.object({
    type: z.literal('log'),
    seat,
    level: z.enum(['debug', 'info', 'warn', 'error']),
    message: z.string(),
    fields: Values.optional(),
  }),
  /** This seat is free; with an error if its stream has to end. */
  z.object({ type: z.literal('left'), seat, error: ErrorJson.optional() }),
  /** The runner ends because of this. */
  z.object({ type: z.literal('failed'), seat, error: ErrorJson }),
])
export type RunnerMessage = z.infer<typeof RunnerMessage>
