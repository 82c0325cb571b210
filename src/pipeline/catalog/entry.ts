import type { Values } from '../protocol.ts'

/** A name under which a pipeline can be started, as declared in a package's manifest. */
export type PipelineEntry = {
  name: string
  /** Absolute path of the module; for Python, of the file that declares the entry point. */
  entryFile: string
  /** For Python, `module:Class`. */
  exportName: string
  /** The interpreter that runs a Python pipeline; undefined for Node. */
  interpreter?: string
  /** Folders that Python searches for modules before its environment. */
  modules?: string[]
  /** The variant's own params. */
  params: Values
  /** Named sets of params that the package ships. */
  presets?: Record<string, Values>
  package: {
    name: string
    version: string
    description?: string
    /** Absolute path. */
    directory: string
  }
}
