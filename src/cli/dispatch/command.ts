import type { Command } from 'commander'
import { readConfig } from '../../config.ts'
import { about, environment } from '../surroundings.ts'

/** `millrace dispatch`. */
export function addDispatch(program: Command): void {
  program
    .command('dispatch')
    .description('assign tracks of LiveKit rooms to the servers in MILLRACE_SERVERS')
    .option('--port <port>', 'HTTP port (PORT)')
    .option('--host <address>', 'HTTP address (HOST)')
    .option('--servers <list>', 'URLs or HOST:PORT of the servers (MILLRACE_SERVERS)')
    .option('--rules <file>', 'rules that say what to process in which rooms (DISPATCH_RULES)')
    .action(async (options: { port?: string; host?: string; servers?: string; rules?: string }) => {
      const { port, host, servers, rules } = options
      const flags = { PORT: port, HOST: host, MILLRACE_SERVERS: servers, DISPATCH_RULES: rules }
      const given = Object.entries(flags).filter(([, value]) => value !== undefined)
      const { runDispatch } = await import('./run.ts')
      await runDispatch(readConfig({ ...environment, ...Object.fromEntries(given) }), about.version)
    })
}
