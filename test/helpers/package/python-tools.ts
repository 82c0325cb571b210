import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { onPath } from '../binaries.ts'
import { keptFolder, makeOnce } from './kept.ts'

const INSTALL_MS = 300_000

/** The folder of programs from PyPI, such as `uv==0.13.9`; fetched once. */
export async function pythonTools(...requirements: string[]): Promise<string> {
  const kept = join(keptFolder('millrace-test-tools'), requirements.join('-').replaceAll('==', '-'))
  await makeOnce(kept, async (part) => {
    const options = { stdio: 'pipe', timeout: INSTALL_MS } as const
    execFileSync(onPath('python3')!, ['-m', 'venv', part], options)
    const install = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--only-binary', ':all:']
    execFileSync(join(part, 'bin/python'), [...install, ...requirements], options)
  })
  return join(kept, 'bin')
}
