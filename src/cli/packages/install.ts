import type { Config } from '../../config.ts'
import type { Context } from '../../core/resource.ts'
import { about, stopSignal } from '../surroundings.ts'

type Place = { pipelineDir: string; python: string; appDir: string }

/** Installs npm and Python specs into `PIPELINE_DIR`, and prints what each brought. */
export async function install(specs: readonly string[], place: Place): Promise<void> {
  const { installNpm, isPythonFolder } = await import('../../pipeline/catalog/npm-install.ts')
  const { installPython } = await import('../../pipeline/catalog/python-install.ts')
  await reporting(async (context) => {
    for (const spec of specs) {
      const folder = isPythonFolder(spec, place.appDir) && (/^[./]/.test(spec) ? spec : `./${spec}`)
      const python = isPip(spec) ? spec.replace(PIP, '') : folder
      const installed =
        python !== false
          ? await installPython({ spec: python, ...place }, context)
          : await installNpm({ spec, version: about.version, ...place }, context)
      for (const { name, package: from } of installed) console.log(`${name.padEnd(24)} ${from.name}@${from.version}`)
    }
  })
}

/** Removes a pipeline's package, and prints the pipelines that went with it. */
export async function uninstall(name: string, { pipelineDir }: Place): Promise<void> {
  const { uninstallNpm } = await import('../../pipeline/catalog/npm-install.ts')
  const { uninstallPython } = await import('../../pipeline/catalog/python-install.ts')
  await reporting(async (context) => {
    const gone = await uninstallNpm(name, { pipelineDir, version: about.version }, context)
    for (const pipeline of gone ?? uninstallPython(name, pipelineDir)) console.log(pipeline)
  })
}

/** `AUTO_INSTALL_PIPELINE`, before pipelines are discovered. A spec that cannot be installed ends the start. */
export async function autoInstall({ autoInstall: specs, pipelineDir, python }: Config): Promise<void> {
  if (specs.length === 0) return
  const { installPipelines } = await import('../../pipeline/catalog/install.ts')
  const { installPython } = await import('../../pipeline/catalog/python-install.ts')
  const place = { pipelineDir, python, appDir: process.cwd() }
  await reporting(async (context) => {
    const ofNpm = specs.filter((spec) => !isPip(spec))
    await installPipelines({ specs: ofNpm, version: about.version, ...place }, context)
    for (const spec of specs.filter(isPip))
      await installPython({ spec: spec.replace(PIP, ''), pinned: true, ...place }, context)
  })
}

const PIP = /^pip:/
const isPip = (spec: string) => PIP.test(spec)

/** Progress goes to stderr: stdout is for results. */
async function reporting(act: (context: Context) => Promise<void>): Promise<void> {
  const { PrepareReport } = await import('../prepare/report.ts')
  using stop = stopSignal()
  await act({ log: new PrepareReport(process.stderr).log(), signal: stop.signal })
}
