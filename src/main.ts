import { createRequire } from 'node:module'
import { networkInterfaces } from 'node:os'
import { setFlagsFromString } from 'node:v8'
import { pino } from 'pino'
import pretty from 'pino-pretty'
import type { Config } from './config.ts'
import { AppError } from './core/errors.ts'
import { exitProcess as leaveProcess } from './exit.ts'
import { type MillraceServer, openServer } from './server.ts'

/** A second signal, or a shutdown longer than this, ends the process at once. */
const SHUTDOWN_MS = 15_000

// V8 counts packet buffers as growth of a small heap and would collect all of it every two seconds, which costs a tenth
// of a core and delays frames; with room for four times what is in use it does so far less.
setFlagsFromString('--heap-growing-percent=300')

function exitProcess(code: number): never {
  leaveProcess(code, { orderly: /-prof\b/.test(process.env.NODE_OPTIONS ?? '') })
}

/** Runs the server until a signal ends it. */
export async function serve(config: Config): Promise<never> {
  const { version } = createRequire(import.meta.url)('../package.json') as { version: string }
  const log = process.stdout.isTTY
    ? pino({ level: config.logLevel }, pretty({ ignore: 'pid,hostname', singleLine: true }))
    : pino({ level: config.logLevel })
  const stop = new AbortController()
  let server: MillraceServer | undefined
  let draining = false
  const end = () => {
    if (stop.signal.aborted) return
    log.info('shutting down')
    setTimeout(() => exitProcess(1), SHUTDOWN_MS).unref()
    stop.abort()
  }
  const onSignal = (signal: NodeJS.Signals) => {
    log.info({ signal }, 'signal')
    if (stop.signal.aborted) exitProcess(1)
    if (signal === 'SIGTERM' && server && !draining) {
      draining = true
      log.info({ drainMs: config.drainMs }, 'draining: no new streams')
      void server.drain(config.drainMs).then(end)
    } else end()
  }
  process.on('SIGINT', onSignal)
  process.on('SIGTERM', onSignal)
  // An unexpected error in one peer's handling must not end every stream; it is logged.
  process.on('uncaughtException', (err) => log.error({ err }, 'uncaught exception'))
  process.on('unhandledRejection', (err) => log.error({ err }, 'unhandled rejection'))
  try {
    server = await openServer(config, { version }, { signal: stop.signal, log })
    greet(server.url, config)
    const closed = await server.closed
    log.info({ why: closed.why, err: closed.error }, 'closed')
    exitProcess(closed.error ? 1 : 0)
  } catch (thrown) {
    if (stop.signal.aborted) exitProcess(0)
    const error = AppError.from(thrown)
    log.debug({ err: error }, 'start failed')
    process.stderr.write(`millrace: ${error.message}\n`)
    exitProcess(error.code === 'invalid-request' ? 2 : 1)
  }
}

/** What a new user needs next, on the terminal rather than in the log. */
function greet(url: string, config: Config): void {
  const lines = [
    '',
    '  Millrace is running.',
    '',
    `  Watch and control   ${url}/`,
    `  Publish by WHIP     ${url}/whip/demo`,
    `  Publish by ffmpeg   ffmpeg -re -i video.mp4 -c copy -f mpegts ${url}/ingest/demo`,
    '',
  ]
  if (config.host === '0.0.0.0' || config.host === '::') {
    const lan = Object.values(networkInterfaces())
      .flat()
      .find((address) => address?.family === 'IPv4' && !address.internal)
    if (lan) lines.splice(4, 0, `  From other machines http://${lan.address}:${new URL(url).port}/`)
  }
  if (config.unprotected) {
    lines.push('  Anyone who reaches this address can publish and control: set AUTH_TOKEN to protect it.', '')
  }
  process.stderr.write(`${lines.join('\n')}\n`)
}
