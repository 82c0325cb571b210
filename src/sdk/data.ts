/** Upper limit of one message, as JSON in UTF-8. */
export const MAX_DATA_BYTES = 64 * 1024

/** Checks a data message. @throws TypeError if it is not JSON or is too long, or if `pts` is not a time. */
export function checkData(value: unknown, pts: number): void {
  if (!Number.isSafeInteger(pts)) throw new TypeError(`pts must be a whole number of 90 kHz ticks, not ${String(pts)}`)
  const json = JSON.stringify(value)
  if (json === undefined) throw new TypeError(`data must be a JSON value, not ${typeof value}`)
  const bytes = Buffer.byteLength(json)
  if (bytes > MAX_DATA_BYTES)
    throw new TypeError(`data of ${bytes} bytes as JSON; accepted are at most ${MAX_DATA_BYTES}`)
}
