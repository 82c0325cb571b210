/** Settings whose values are never printed, and never reach the environment of a child that runs third-party code. */
export const SECRET_SETTINGS = [
  'AUTH_TOKEN',
  'VIEW_TOKEN',
  'JWT_SECRET',
  'AUTH_URL',
  'WEBHOOK_URL',
  'WEBHOOK_SECRET',
  'ICE_SERVERS',
  'TURN_SECRET',
  'LIVEKIT_API_KEY',
  'LIVEKIT_API_SECRET',
  'LIVEPEER_ORCH_SECRET',
  'OTEL_EXPORTER_OTLP_HEADERS',
] as const

/** The environment without the server's secrets. */
export function withoutSecrets(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(
    Object.entries(environment).filter(([name]) => !SECRET_SETTINGS.some((one) => one === name)),
  )
}

/**
 * Splits user and password off a URL, for `fetch`, which refuses such URLs with an error that quotes them. `headers` is
 * HTTP Basic authentication (RFC 7617) with them, empty without any.
 */
export function splitCredentials(text: string): { url: string; headers: { authorization?: string } } {
  const url = new URL(text)
  const authorization = basicAuthorization(url)
  url.username = ''
  url.password = ''
  return { url: url.href, headers: authorization === undefined ? {} : { authorization } }
}

/** The Authorization header that a URL's user and password become; undefined without any. */
export function basicAuthorization({ username, password }: URL): string | undefined {
  if (username === '' && password === '') return undefined
  return `Basic ${Buffer.from(`${decoded(username)}:${decoded(password)}`).toString('base64')}`
}

/** A part of a URL in plain text, unchanged if it is not encoded correctly. */
export function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
