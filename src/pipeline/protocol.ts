import { z } from 'zod'
import { ERROR_CODES, type Issue } from '../core/errors.ts'
import { PIXEL_FORMATS } from '../core/media/frame.ts'

/** Control messages between the server and one runner; frames go through shared memory. See `control-channel.ts`. */
export const PROTOCOL_VERSION = 1

/** Descriptors a runner inherits. */
export const FD = { control: 3, frames: 4, doorbell: 5 } as const

/** Set in the environment of all that a runner starts. */
export const MARK_VARIABLE = 'MILLRACE_RUNNER'

export const Values = z.record(z.string(), z.unknown())
export type Values = z.infer<typeof Values>

export const UpdateMode = z.enum(['merge', 'replace'])
/** `merge`: RFC 7396 on the newest accepted params. `replace`: missing keys return to the variant's own params. */
export type UpdateMode = z.infer<typeof UpdateMode>

const Input = z.object({
  format: z.enum(PIXEL_FORMATS).optional(),
  width: z.int().positive().optional(),
  height: z.int().positive().optional(),
})

export const Description = z.object({
  /** One line, from the class. */
  description: z.string().optional(),
  /** What frames it wants before params are looked at. */
  input: Input,
  /** JSON Schema of the params, as the API accepts them. */
  schema: Values,
  /** The params in force when a stream sets none. */
  defaults: Values,
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

export const ServerMessage = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('start'),
    version: z.literal(PROTOCOL_VERSION),
    /** `describe` and `prepare` end by themselves. */
    mode: z.enum(['serve', 'describe', 'prepare']),
    /** Of the variant. */
    name: z.string(),
    entryFile: z.string(),
    exportName: z.string(),
    /** The variant's own params, from its manifest and the server's settings. */
    initial: Values,
    /** The params to load with; those of the stream that waits, or the last that were in force. */
    params: Values,
    /** Of those params; updates count on from it. */
    revision: z.int(),
    modelDir: z.string(),
  }),
  /** A stream begins. `params` are whole; its size is fixed from here on. */
  z.object({ type: z.literal('lease'), id, requestId: z.string(), epoch: z.int(), revision: z.int(), params: Values }),
  /** The stream is over: back to the variant's own params, the model is kept. */
  z.object({ type: z.literal('release'), id, epoch: z.int() }),
  z.object({ type: z.literal('update'), id, mode: UpdateMode, value: Values }),
  z.object({ type: z.literal('stop') }),
])
export type ServerMessage = z.infer<typeof ServerMessage>

export const RunnerMessage = z.discriminatedUnion('type', [
  /** The author's module is imported and `start.params` are valid; loading begins. */
  z.object({ type: z.literal('imported'), description: Description, params: Values }),
  z.object({ type: z.literal('ready') }),
  /** The answer to `lease`, `release` and `update`. */
  z.object({
    type: z.literal('done'),
    id,
    /** `accepted`: checked, and applied once the pipeline has loaded. */
    status: z.enum(['applied', 'accepted']),
    revision: z.int(),
    params: Values,
  }),
  z.object({ type: z.literal('refused'), id, error: ErrorJson }),
  /** What is in force now: with its defaults filled in, and as it was given. */
  z.object({ type: z.literal('params'), revision: z.int(), params: Values, given: Values }),
  /** Frames are not taken until `ready`; those of an earlier epoch never. */
  z.object({ type: z.literal('reloading'), epoch: z.int() }),
  /** Something the author's code threw; `count` of the same kind since the last message. */
  z.object({ type: z.literal('error'), message: z.string(), during: z.string(), count: z.int() }),
  z.object({
    type: z.literal('log'),
    level: z.enum(['debug', 'info', 'warn', 'error']),
    message: z.string(),
    fields: Values.optional(),
  }),
  /** The runner ends because of this. */
  z.object({ type: z.literal('failed'), error: ErrorJson }),
])
export type RunnerMessage = z.infer<typeof RunnerMessage>
