import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { cudaAbsence } from '../sdk/onnx/provider.ts'
import { type Finding, fine, warn } from './finding.ts'

const ASK_MS = 10_000
const QUERY = ['--query-gpu=name,memory.total,driver_version', '--format=csv,noheader']

/** Not having a GPU is no fault: everything runs on the CPU then. */
export async function checkGpu(command = 'nvidia-smi'): Promise<Finding[]> {
  const gpus = await ask(command)
  if (gpus === undefined) return [fine('GPU', 'none of NVIDIA; pipelines and encoders use the CPU')]
  if (typeof gpus === 'string') {
    return [
      warn('GPU', `nvidia-smi fails: ${gpus}`, 'install the driver that fits the kernel, and restart the machine'),
    ]
  }
  const absence = cudaAbsence()
  const cuda =
    absence === undefined
      ? fine('ONNX on CUDA', 'its libraries are there')
      : warn('ONNX on CUDA', absence, 'ONNXRUNTIME_NODE_INSTALL=cuda12 npm rebuild onnxruntime-node')
  return [...gpus.map((gpu) => fine('GPU', gpu)), cuda]
}

/** A line for each GPU; undefined without the driver's tool; a text when that fails. */
async function ask(command: string): Promise<string[] | string | undefined> {
  try {
    const { stdout } = await promisify(execFile)(command, QUERY, { timeout: ASK_MS, killSignal: 'SIGKILL' })
    return stdout.split('\n').filter((line) => line.trim() !== '')
  } catch (thrown) {
    const { code, message } = thrown as NodeJS.ErrnoException
    return code === 'ENOENT' ? undefined : (message.split('\n').at(-2) ?? message)
  }
}
