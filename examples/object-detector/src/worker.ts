// CenterNet on TensorFlow.js's WebAssembly backend, in a worker thread: a run takes longer than a frame interval.
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { parentPort } from 'node:worker_threads'
import { setWasmPaths } from '@tensorflow/tfjs-backend-wasm'
import { loadGraphModel } from '@tensorflow/tfjs-converter'
import { ready, setBackend, tensor4d, tidy } from '@tensorflow/tfjs-core'
import { type Answer, type Found, type Picture, SIDE } from './messages.ts'

const require = createRequire(import.meta.url)
/** Values per object in the model's output: four edges in its pixels, confidence, and class. */
const VALUES = 6

async function loadModel() {
  setWasmPaths(`${dirname(require.resolve('@tensorflow/tfjs-backend-wasm'))}/`)
  await setBackend('wasm')
  await ready()
  // The package contains its models, but does not export them.
  const folder = join(dirname(require.resolve('@vladmandic/human')), '..', 'models')
  const { weightsManifest, ...model } = JSON.parse(await readFile(join(folder, 'centernet.json'), 'utf8'))
  const weights = await readFile(join(folder, 'centernet.bin'))
  const weightData = new Uint8Array(weights).buffer
  return await loadGraphModel({ load: async () => ({ ...model, weightSpecs: weightsManifest[0].weights, weightData }) })
}

const answer = (message: Answer) => parentPort!.postMessage(message)
const model = await loadModel()

/** All objects in an image, the most certain first. */
async function find({ pixels }: Picture): Promise<Found[]> {
  const output = tidy(() => {
    const input = tensor4d(Float32Array.from(pixels), [1, SIDE, SIDE, 3])
    return model.execute(input, 'tower_0/detections')
  })
  if (Array.isArray(output)) throw new Error(`the model gave ${output.length} outputs for one`)
  const values = await output.data()
  output.dispose()
  return Array.from({ length: values.length / VALUES }, (_, at) => {
    const [left = 0, top = 0, right = 0, bottom = 0, confidence = 0, label = 0] = values.slice(at * VALUES)
    const edge = (value: number) => Math.min(1, Math.max(0, value / SIDE))
    return { left: edge(left), top: edge(top), right: edge(right), bottom: edge(bottom), confidence, label }
  })
}

parentPort!.on('message', (picture: Picture) => {
  find(picture).then(
    (found) => answer({ found }),
    (thrown: Error) => answer({ error: thrown.message }),
  )
})
// The first run compiles code that later runs reuse.
await find({ pixels: new Uint8Array(SIDE * SIDE * 3) })
answer({ ready: true })
