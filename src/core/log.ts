type Write = (fields: object | string, message?: string) => void

/** What the house asks of a logger; pino's satisfies it. Messages are fixed sentences, values are fields. */
export type Log = {
  debug: Write
  info: Write
  warn: Write
  error: Write
  child(fields: Record<string, unknown>): Log
}
