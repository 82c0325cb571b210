import type { Log } from '../../src/core/log.ts'

/** A logger for parts whose log nobody reads. */
export const SILENT: Log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {}, child: () => SILENT }
