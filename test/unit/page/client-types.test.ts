import { readFileSync } from 'node:fs'
import type { z } from '@hono/zod-openapi'
import type { StreamEvent, StreamHistory, StreamStatus } from 'millrace/client'
import { Millrace, Stream } from 'millrace/client'
import { expect, expectTypeOf, test } from 'vitest'
import type { History, ParamsAnswer, PipelineDetails, Status } from '../../../src/http/openapi/schemas.ts'
import type { StreamEvent as ServerEvent } from '../../../src/stream/events.ts'

const DOCS = readFileSync(new URL('../../../docs/embedding.md', import.meta.url), 'utf8')

// Checked by `npm run types`; there is nothing to run.
test('the types of the client match the API', () => {
  expectTypeOf<z.infer<typeof Status>>().toExtend<StreamStatus>()
  expectTypeOf<StreamHistory>().toEqualTypeOf<z.infer<typeof History>>()
  expectTypeOf<Exclude<ServerEvent, { type: 'state' | 'status' }>>().toExtend<StreamEvent>()
  expectTypeOf<StreamEvent['type']>().toEqualTypeOf<ServerEvent['type']>()
  type Answer<Name extends 'params' | 'mergeParams'> = Awaited<ReturnType<Stream[Name]>>
  expectTypeOf<Answer<'mergeParams'>>().toEqualTypeOf<z.infer<typeof ParamsAnswer>>()
  expectTypeOf<z.infer<typeof PipelineDetails>>().toExtend<Awaited<ReturnType<Millrace['pipeline']>>>()
})

test('embedding.md lists every member of the client', () => {
  const methods = [Millrace, Stream].flatMap((one) => Object.getOwnPropertyNames(one.prototype))
  const named = methods.filter((name) => !['constructor', 'isGone'].includes(name))
  expect(named.filter((name) => !new RegExp(`\\b${name}\\(`).test(DOCS))).toEqual([])
})
