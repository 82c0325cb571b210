/** The thread that runs a model: onnxruntime-node computes on the calling thread. */
import { parentPort, workerData } from 'node:worker_threads'
import type { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node'
import type { FromWorker, Provider, ToWorker, WorkerOptions } from './messages.ts'
import type { Tensor, TensorInfo } from './tensor.ts'

type Runtime = typeof import('onnxruntime-node')

const options = workerData as WorkerOptions
const port = parentPort!

function send(message: FromWorker, handedOver: ArrayBuffer[] = []): void {
  port.postMessage(message, [...new Set(handedOver)])
}

function buffers(tensors: Record<string, Tensor>): ArrayBuffer[] {
  return Object.values(tensors).map(({ data }) => data.buffer)
}

async function open(runtime: Runtime): Promise<{ session: InferenceSession; message: FromWorker }> {
  const refused: { provider: Provider; reason: string }[] = []
  for (const provider of options.providers) {
    try {
      const session = await runtime.InferenceSession.create(options.file, {
        executionProviders: provider === 'cuda' ? ['cuda', 'cpu'] : ['cpu'],
        intraOpNumThreads: options.threads,
        logSeverityLevel: 3,
        // Threads that spin while waiting take cores from the decoder and the encoder.
        extra: { session: { intra_op: { allow_spinning: '0' }, inter_op: { allow_spinning: '0' } } },
      })
      const inputs = session.inputMetadata.map(describe)
      const outputs = session.outputMetadata.map(describe)
      return { session, message: { type: 'opened', provider, refused, inputs, outputs } }
    } catch (thrown) {
      refused.push({ provider, reason: reasonOf(thrown) })
    }
  }
  throw new Error(refused.map(({ provider, reason }) => `${provider}: ${reason}`).join('; '))
}

function describe(value: InferenceSession.ValueMetadata): TensorInfo {
  if (!value.isTensor) return { name: value.name, type: 'not a tensor', dims: [] }
  return {
    name: value.name,
    type: value.type,
    dims: value.shape.map((size) => (typeof size === 'number' ? size : null)),
  }
}

type Run = Extract<ToWorker, { type: 'run' }>

async function run(runtime: Runtime, session: InferenceSession, { id, feeds }: Run): Promise<void> {
  try {
    const began = performance.now()
    const given = Object.entries(feeds).map(([name, { type, data, dims }]) => [
      name,
      new runtime.Tensor(type as 'float32', data as Float32Array, dims),
    ])
    const made = (await session.run(Object.fromEntries(given))) as Record<string, OrtTensor>
    const results = Object.fromEntries(
      Object.entries(made).map(([name, { type, data, dims }]) => [name, { type, data, dims: [...dims] } as Tensor]),
    )
    const ms = performance.now() - began
    send({ type: 'done', id, results, feeds, ms }, [...buffers(results), ...buffers(feeds)])
  } catch (thrown) {
    send({ type: 'threw', id, reason: reasonOf(thrown), feeds }, buffers(feeds))
  }
}

function reasonOf(thrown: unknown): string {
  return (thrown instanceof Error ? thrown.message : String(thrown)).slice(0, 1000)
}

let closing = false
let work: (message: Run) => void = () => {}
// A message that arrives during a run is handled after it.
port.on('message', (message: ToWorker) => {
  if (message.type === 'run') work(message)
  else {
    closing = true
    port.close()
  }
})

try {
  // onnxruntime-node would use it for half precision; its native part then reads arrays of length 0.
  Reflect.deleteProperty(globalThis, 'Float16Array')
  const runtime = await import('onnxruntime-node')
  const { session, message } = await open(runtime)
  work = (message) => void run(runtime, session, message)
  if (!closing) send(message)
} catch (thrown) {
  if (!closing) send({ type: 'unopened', reason: reasonOf(thrown) })
  port.close()
}
