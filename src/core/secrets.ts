/** Settings whose values are never printed, and never reach the environment of a child that runs somebody else's code. */
export const SECRET_SETTINGS = ['AUTH_TOKEN', 'VIEW_TOKEN', 'ICE_SERVERS', 'LIVEPEER_ORCH_SECRET'] as const

/** An environment without the server's secrets. */
export function withoutSecrets(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(
    Object.entries(environment).filter(([name]) => !SECRET_SETTINGS.some((one) => one === name)),
  )
}
