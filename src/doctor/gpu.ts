import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { cudaAbsence, RUNTIME_MEND, runtimeAbsence } from '../sdk/onnx/provider.ts'
import { type Finding, fine, warn } from './finding.ts'

const ASK_MS = 10_000
const QUERY = ['--query-gpu=name,memory.total,driver_version', '--format=csv,noheader']

/** Only pipelines with an ONNX model need it. */
export function checkOnnx(): Finding {
  const absence = runtimeAbsence()
  if (absence === undefined) return fine('ONNX Runtime', 'ONNX models can run')
  return warn('ONNX Runtime', 'onnxruntime-node is not installed; the pipelines onnx and redact need it', RUNTIME_MEND)
}

/** A machine without a GPU is fine: everything then runs on the CPU. */
export async function checkGpu(command = 'nvidia-smi'): Promise<Finding[]> {
  const gpus = await ask(command)
  if (gpus === undefined) return [fine('GPU', 'no NVIDIA GPU; pipelines and encoders use the CPU')]
  if (typeof gpus === 'string') {
    return [
      warn('GPU', `nvidia-smi fails: ${gpus}`, 'install the driver that fits the kernel, and restart the machine'),
    ]
  }
  const absence = cudaAbsence()
  const cuda =
    absence === undefined
      ? fine('ONNX on CUDA', 'its libraries are installed')
      : warn('ONNX on CUDA', absence, 'ONNXRUNTIME_NODE_INSTALL=cuda12 npm rebuild onnxruntime-node')
  return [...gpus.map((gpu) => fine('GPU', gpu)), cuda]
}

/** One line per GPU; undefined without the driver's tool; an error text if it fails. */
async function ask(command: string): Promise<string[] | string | undefined> {
  try {
    const { stdout } = await promisify(execFile)(command, QUERY, { timeout: ASK_MS, killSignal: 'SIGKILL' })
    return stdout.split('\n').filter((line) => line.trim() !== '')
  } catch (thrown) {
    const { code, message } = thrown as NodeJS.ErrnoException
    return code === 'ENOENT' ? undefined : (message.split('\n').at(-2) ?? message)
  }
}
