type Write = (fields: object | string, message?: string) => void

/** The logger interface, which pino satisfies. Messages are fixed sentences, values are fields. */
export type Log = {
  debug: Write
  info: Write
  warn: Write
  error: Write
  child(fields: Record<string, unknown>): Log
}
