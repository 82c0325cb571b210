import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'

export type OutsidePackage = {
  name: string
  version?: string
  /** The manifest's `millrace.pipelines`. */
  pipelines?: Record<string, unknown>
  /** Contents by path in the package. */
  files?: Record<string, string>
  /** Further fields of `package.json`. */
  more?: Record<string, unknown>
}

/** A new folder outside the repository, removed with the test. */
export function outsideFolder(): { path: string } & Disposable {
  const path = mkdtempSync(join(tmpdir(), 'mr-outside-'))
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) }
}

/** Writes a package as an author would, and returns its folder. */
export function writePackage(
  directory: string,
  { name, version = '1.0.0', pipelines, files = {}, more = {} }: OutsidePackage,
): string {
  const manifest = {
    name,
    version,
    type: 'module',
    ...(pipelines && { peerDependencies: { millrace: '^0.1.0' }, millrace: { pipelines } }),
    ...more,
  }
  const all = { ...files, 'package.json': JSON.stringify(manifest, null, 2) }
  for (const [path, content] of Object.entries(all)) {
    const file = join(directory, path)
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, content)
  }
  return directory
}

/** A pipeline in plain JavaScript that adds to every sample, so that a test can tell which one ran. */
export function addingPipeline(name: string, amount: number | string, imports = ''): string {
  return `import { BaseParams, definePipeline, z } from 'millrace/pipeline'
${imports}
export const ${name} = definePipeline({
  params: BaseParams.extend({ more: z.int().default(0).describe('Added on top') }),
  input: { format: 'gray' },
  load: (params, context) => ({
    process: (frame, params) => ({ ...frame, data: frame.data.map((value) => value + ${amount} + params.more) }),
  }),
})
`
}

const run = promisify(execFile)

/** npm without a network, for packages on this machine. Rejects with its output. */
export async function npm(args: string[], cwd: string, env: Record<string, string> = {}): Promise<string> {
  const quiet = ['--offline', '--no-audit', '--no-fund', '--no-update-notifier']
  const { stdout } = await run('npm', [...args, ...quiet], {
    cwd,
    timeout: 120_000,
    env: { ...process.env, ...env },
  }).catch((error) => {
    throw new Error(`npm ${args.join(' ')}: ${error.stderr || error.message}`)
  })
  return stdout
}

/** Makes the package's tarball in `into` and returns its path. */
export async function packPackage(directory: string, into: string): Promise<string> {
  const packed = await npm(['pack', '--json', '--pack-destination', into], directory)
  const [{ filename }] = JSON.parse(packed.slice(packed.indexOf('['))) as [{ filename: string }]
  return join(into, filename)
}
