import type { Description, Values } from '../../protocol.ts'
import { chainAudio } from './audio.ts'
import { pointerTo } from './params.ts'

/** Describes a chain as one pipeline: it takes the first stage's frames, and its params are an object per stage. */
export function describeChain(stages: readonly { key: string; description: Description }[]): Description {
  const schemas = stages.map(({ key, description }) => [
    key,
    { title: key, ...(moved(description.schema, `#/properties${pointerTo(key)}`) as Values) },
  ])
  const video = stages.find(({ description }) => description.video)
  const audio = chainAudio(stages.map(({ key, description }) => ({ key, audio: description.audio })))
  return {
    description: stages.map(({ key, description }) => description.description ?? key).join(' → '),
    input: (video ?? stages[0]!).description.input,
    video: video !== undefined,
    ...(audio && { audio }),
    schema: { type: 'object', properties: Object.fromEntries(schemas), additionalProperties: false },
    streams: Math.min(...stages.map(({ description }) => description.streams)),
    defaults: Object.fromEntries(stages.map(({ key, description }) => [key, description.defaults])),
  }
}

/** Rewrites the schema's references, which begin at its root, for its new place. */
function moved(schema: unknown, root: string): unknown {
  if (Array.isArray(schema)) return schema.map((inner) => moved(inner, root))
  if (typeof schema !== 'object' || schema === null) return schema
  return Object.fromEntries(
    Object.entries(schema).map(([key, value]) => {
      const isReference = key === '$ref' && typeof value === 'string' && value.startsWith('#')
      return [key, isReference ? `${root}${value.slice(1)}` : moved(value, root)]
    }),
  )
}
