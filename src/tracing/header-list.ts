// W3C Baggage, section "baggage HTTP header format", of which OpenTelemetry's settings use a subset.
import { z } from 'zod'

/** `name=value` pairs separated by commas, percent-encoded. */
export const HeaderList = z.string().transform((text, context): Record<string, string> => {
  const parts = text.split(',').map((part) => part.trim())
  const pairs = parts.filter(Boolean).map((part) => /^([\w!#$%&'*+.^`|~-]+)\s*=\s*(.*)$/.exec(part))
  try {
    return Object.fromEntries(pairs.map((pair) => [pair![1]!, decodeURIComponent(pair![2]!)]))
  } catch {
    context.addIssue({ code: 'custom', message: 'must be headers with commas between, such as x-api-key=secret' })
    return z.NEVER
  }
})
