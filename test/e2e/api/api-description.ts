import { z } from 'zod'
import { httpJson } from '../../helpers/server/http.ts'

type Schema = Record<string, unknown>
type Answer = { description: string; content?: Record<string, { schema: Schema }> }
export type Operation = {
  operationId: string
  summary: string
  tags: string[]
  security: Record<string, unknown>[]
  responses: Record<string, Answer>
}
export type Description = {
  openapi: string
  info: { version: string }
  paths: Record<string, Record<string, Operation>>
  components: { schemas: Record<string, Schema> }
}

/** The OpenAPI description of a server, as a validator of its responses. */
export async function describedBy(url: string) {
  const { json: document } = await httpJson<Description>('GET', `${url}/openapi.json`)
  const operations = Object.entries(document.paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, operation]) => ({ method: method.toUpperCase(), path, operation })),
  )
  const find = (operationId: string) => {
    const found = operations.find(({ operation }) => operation.operationId === operationId)
    if (!found) throw new Error(`no operation ${operationId}`)
    return found.operation
  }
  return {
    document,
    operations,
    /** Throws when the operation does not describe a response with this status, type and body. */
    check(operationId: string, answer: { status: number; type: string; body: unknown }): void {
      const described = find(operationId).responses[answer.status]
      if (!described) throw new Error(`${operationId} describes no ${answer.status}`)
      const type = answer.type.split(';', 1)[0]!.trim()
      const content = described.content?.[type]
      if (!content) throw new Error(`${operationId} ${answer.status} describes no ${type}`)
      checker(document, content.schema).parse(answer.body)
    },
    /** Throws when `value` does not match the named component. */
    checkComponent(name: string, value: unknown): void {
      checker(document, { $ref: `#/components/schemas/${name}` }).parse(value)
    },
  }
}

/** Objects are closed, so undocumented properties are errors. */
function checker(document: Description, schema: Schema): z.ZodType {
  const $defs = document.components.schemas
  const text = JSON.stringify(closed({ ...schema, $defs })).replaceAll('#/components/schemas/', '#/$defs/')
  return z.fromJSONSchema(JSON.parse(text))
}

function closed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(closed)
  if (value === null || typeof value !== 'object') return value
  const entries = Object.entries(value).map(([key, inner]) => [key, closed(inner)] as const)
  const object = Object.fromEntries(entries)
  const shape = object.type === 'object' && object.properties !== undefined && object.additionalProperties === undefined
  return shape ? { ...object, additionalProperties: false } : object
}
