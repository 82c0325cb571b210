import type { Values } from '../protocol.ts'

/** One name under which a pipeline can be started, as a package's manifest declares it. */
export type PipelineEntry = {
  name: string
  /** Absolute path of the module; for Python, of the file that declares the entry point. */
  entryFile: string
  /** For Python, `module:Class`. */
  exportName: string
  /** The interpreter that runs a Python pipeline; undefined for one that Node runs. */
  interpreter?: string
  /** The variant's own params. */
  params: Values
  package: {
    name: string
    version: string
    description?: string
    /** Absolute path. */
    directory: string
  }
}
