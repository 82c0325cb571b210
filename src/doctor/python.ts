import { spawnSync } from 'node:child_process'
import { findInterpreter } from '../pipeline/catalog/python.ts'
import { type Finding, fine, warn } from './finding.ts'

const PROBE = `
import sys, ctypes
missing = []
if sys.version_info < (3, 10): missing.append("Python 3.10 or newer")
try:
    import venv, ensurepip
except ImportError:
    missing.append("the venv module (apt-get install python3-venv)")
try:
    ctypes.CDLL("libatomic.so.1")
except OSError:
    missing.append("libatomic (apt-get install libatomic1)")
print(sys.version.split()[0])
print("; ".join(missing))
`
const PROBE_MS = 30_000

/** Requirements of Python pipelines; the server runs without them, so nothing here is worse than a warning. */
export function checkPython(python: string): Finding {
  const interpreter = findInterpreter(python)
  if (!interpreter)
    return warn(
      'Python',
      `${python} was not found, so Python pipelines cannot run`,
      'install Python 3.10, or set PYTHON',
    )
  const { status, stdout } = spawnSync(interpreter, ['-c', PROBE], { encoding: 'utf8', timeout: PROBE_MS })
  if (status !== 0) return warn('Python', `${interpreter} does not run`, 'set PYTHON to another interpreter')
  const [version = '', missing = ''] = stdout.trimEnd().split('\n')
  return missing
    ? warn('Python', `${interpreter} (${version}) lacks ${missing}`, 'install that')
    : fine('Python', `${version} at ${interpreter}`)
}
