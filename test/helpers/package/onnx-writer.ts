// The ONNX format: protocol buffers as in onnx.proto3; numbers are its field numbers.

const ELEMENT = { float32: 1, uint8: 2, int8: 3, int16: 5, int32: 6, int64: 7, bool: 9, float16: 10, float64: 11 }
export type ElementType = keyof typeof ELEMENT

/** A number is a fixed dimension, a name a free one. */
export type Value = { name: string; type?: ElementType; dims: (number | string)[] }
export type Node = {
  op: string
  inputs: string[]
  outputs: string[]
  /** Whole numbers are written as integers, others as floats. */
  attributes?: Record<string, number | number[]>
}
export type Graph = {
  inputs: Value[]
  outputs: Value[]
  nodes: Node[]
  /** `file`: external data beside the model, which the caller must write. */
  constants?: Record<string, { dims: number[]; values: number[]; file?: string }>
}

/** The bytes of a model. */
export function writeOnnx(graph: Graph): Uint8Array {
  const constants = Object.entries(graph.constants ?? {}).map(([name, { dims, values, file }]) =>
    message(
      ...dims.map((size) => varint(1, size)),
      varint(2, ELEMENT.float32),
      text(8, name),
      ...(file === undefined
        ? [bytes(9, new Uint8Array(Float32Array.from(values).buffer))]
        : [bytes(13, message(text(1, 'location'), text(2, file))), varint(14, 1)]),
    ),
  )
  const body = message(
    ...graph.nodes.map((node) => bytes(1, writeNode(node))),
    text(2, 'graph'),
    ...constants.map((constant) => bytes(5, constant)),
    ...graph.inputs.map((value) => bytes(11, writeValue(value))),
    ...graph.outputs.map((value) => bytes(12, writeValue(value))),
  )
  return message(varint(1, 8), bytes(7, body), bytes(8, message(text(1, ''), varint(2, 13))))
}

function writeNode({ op, inputs, outputs, attributes = {} }: Node): Uint8Array {
  return message(
    ...inputs.map((name) => text(1, name)),
    ...outputs.map((name) => text(2, name)),
    text(4, op),
    ...Object.entries(attributes).map(([name, value]) => bytes(5, writeAttribute(name, value))),
  )
}

function writeAttribute(name: string, value: number | number[]): Uint8Array {
  if (Array.isArray(value)) return message(text(1, name), ...value.map((one) => varint(8, one)), varint(20, 7))
  if (Number.isInteger(value)) return message(text(1, name), varint(3, value), varint(20, 2))
  return message(text(1, name), new Uint8Array([21, ...new Uint8Array(Float32Array.of(value).buffer)]), varint(20, 1))
}

function writeValue({ name, type = 'float32', dims }: Value): Uint8Array {
  const sizes = dims.map((size) =>
    bytes(1, typeof size === 'number' ? message(varint(1, size)) : message(text(2, size))),
  )
  const tensor = message(varint(1, ELEMENT[type]), bytes(2, message(...sizes)))
  return message(text(1, name), bytes(2, message(bytes(1, tensor))))
}

function message(...parts: Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts))
}

function number(value: number): number[] {
  const out: number[] = []
  let rest = value
  for (; rest > 127; rest = Math.floor(rest / 128)) out.push((rest % 128) | 128)
  return [...out, rest]
}

function varint(field: number, value: number): Uint8Array {
  return Uint8Array.from([...number(field * 8), ...number(value)])
}

function bytes(field: number, content: Uint8Array): Uint8Array {
  return message(Uint8Array.from([...number(field * 8 + 2), ...number(content.length)]), content)
}

function text(field: number, content: string): Uint8Array {
  return bytes(field, new TextEncoder().encode(content))
}
