import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { onPath } from '../binaries.ts'
import { keptFolder, makeOnce } from '../package/kept.ts'
import { runTool } from '../run-tool.ts'

const PACKAGES = ['imageio-ffmpeg==0.8.1', 'av==18.1.0']
const INSTALL_MS = 300_000

export type PythonMedia = {
  /** A Python with PyAV. */
  python: string
  /** An ffmpeg 9, with WHIP, SRT and enhanced RTMP. */
  ffmpeg: string
}

/** Media clients from PyPI, newer than those of distributions; downloaded once. */
export async function pythonMedia(): Promise<PythonMedia> {
  const kept = join(keptFolder('millrace-test-python-media'), PACKAGES.join('-').replaceAll('==', '-'))
  await makeOnce(kept, async (part) => {
    const python = onPath('python3')
    if (!python) throw new Error('python3 is not on PATH')
    await runTool(python, ['-m', 'venv', part], { limitMs: INSTALL_MS })
    const install = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', ...PACKAGES]
    await runTool(join(part, 'bin', 'python'), install, { limitMs: INSTALL_MS })
  })
  const [version = ''] = readdirSync(join(kept, 'lib'))
  const binaries = join(kept, 'lib', version, 'site-packages', 'imageio_ffmpeg', 'binaries')
  const [program = ''] = readdirSync(binaries).filter((name) => name.startsWith('ffmpeg-'))
  return { python: join(kept, 'bin', 'python'), ffmpeg: join(binaries, program) }
}
