import type { Log } from '../../src/core/log.ts'

/** For parts that want a logger where nobody reads the log. */
export const SILENT: Log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {}, child: () => SILENT }
