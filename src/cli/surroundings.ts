import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import { type Config, readConfig } from '../config.ts'
import { SECRET_SETTINGS } from '../core/secrets.ts'
import { type Catalog, discoverPipelines } from '../pipeline/catalog/catalog.ts'

/** The environment of commands that start a pipeline themselves. */
export type Surroundings = {
  config: Config
  catalog: Catalog
  /** Aborted by SIGINT and SIGTERM. */
  signal: AbortSignal
}

/** The package of this code. */
export const about = createRequire(import.meta.url)('../../package.json') as {
  version: string
  devDependencies: Record<string, string>
}

/** Settings of all commands. */
export const environment = process.env

/** Built-in pipelines are beside `src`, in the repository and in the published package. */
export const builtinDir = fileURLToPath(new URL('../../pipelines', import.meta.url))

/** All pipelines installed for a server that is started here. */
export function findPipelines({ pipelineDir, python }: Config): Promise<Catalog> {
  return discoverPipelines({ builtinDir, appDir: process.cwd(), pipelineDir, python })
}

/** Reads settings and catalog, and aborts `act` when the process is asked to end. */
export async function withSurroundings(act: (around: Surroundings) => Promise<void>): Promise<void> {
  const config = readConfig(process.env)
  forgetSecrets()
  const catalog = await findPipelines(config)
  using stop = stopSignal()
  await act({ config, catalog, signal: stop.signal })
}

/** Child processes inherit the environment: ffmpeg, and third-party pipelines. */
export function forgetSecrets(): void {
  for (const name of SECRET_SETTINGS) delete process.env[name]
}

/** Aborted by SIGINT and SIGTERM while in use. */
export function stopSignal(): { signal: AbortSignal } & Disposable {
  const stop = new AbortController()
  const abort = () => stop.abort()
  const signals = ['SIGINT', 'SIGTERM'] as const
  for (const signal of signals) process.once(signal, abort)
  return {
    signal: stop.signal,
    [Symbol.dispose]: () => {
      for (const signal of signals) process.off(signal, abort)
    },
  }
}
