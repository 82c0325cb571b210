import type { Values } from '../protocol.ts'

/** One name under which a pipeline can be started, as a package's manifest declares it. */
export type PipelineEntry = {
  name: string
  /** Absolute path of the module. */
  entryFile: string
  exportName: string
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
