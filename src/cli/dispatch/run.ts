import { readFile } from 'node:fs/promises'
import { pino } from 'pino'
import pretty from 'pino-pretty'
import { parse } from 'yaml'
import type { Config } from '../../config.ts'
import { AppError } from '../../core/errors.ts'
import { openDispatch } from '../../dispatch/open.ts'
import { parseRules, type Rule } from '../../dispatch/rules.ts'
import { exitProcess } from '../../exit.ts'

const SHUTDOWN_MS = 5000

/** Runs the dispatcher until a signal ends it. */
export async function runDispatch(config: Config, version: string): Promise<never> {
  const { host, port, authToken, livekit, dispatch, logLevel } = config
  if (!livekit) throw missing('LIVEKIT_URL', 'with LIVEKIT_API_KEY and LIVEKIT_API_SECRET: where the rooms are')
  if (dispatch.servers.length === 0)
    throw missing('MILLRACE_SERVERS', 'the servers, such as millrace.millrace.svc:8000')
  const rules = dispatch.rules === undefined ? [] : await readRules(dispatch.rules)
  const log = process.stdout.isTTY
    ? pino({ level: logLevel }, pretty({ ignore: 'pid,hostname', singleLine: true }))
    : pino({ level: logLevel })
  const stop = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM'] as const) {
    process.on(name, () => {
      if (stop.signal.aborted) exitProcess(1)
      log.info({ signal: name }, 'signal')
      setTimeout(() => exitProcess(1), SHUTDOWN_MS).unref()
      stop.abort()
    })
  }
  process.on('uncaughtException', (err) => log.error({ err }, 'uncaught exception'))
  process.on('unhandledRejection', (err) => log.error({ err }, 'unhandled rejection'))
  const options = { host, port, servers: dispatch.servers, token: authToken, livekit, rules, version }
  const server = await openDispatch(options, { signal: stop.signal, log })
  const closed = await server.closed
  log.info({ why: closed.why, err: closed.error }, 'closed')
  exitProcess(closed.error ? 1 : 0)
}

async function readRules(file: string): Promise<Rule[]> {
  let value: unknown
  try {
    value = parse(await readFile(file, 'utf8'))
  } catch (cause) {
    throw new AppError('invalid-request', `DISPATCH_RULES is "${file}": ${(cause as Error).message}`, { cause })
  }
  return parseRules(value, file)
}

function missing(name: string, what: string): AppError {
  return new AppError('invalid-request', `${name} is not set: \`millrace dispatch\` needs it, ${what}`)
}
