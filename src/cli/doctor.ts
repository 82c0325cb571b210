import type { Command } from 'commander'
import { readConfig } from '../config.ts'
import { builtinDir, environment } from './surroundings.ts'

/** `millrace doctor`. */
export function addDoctor(program: Command): void {
  program
    .command('doctor')
    .description('check this machine and say how to fix problems; exit code 1 if the server cannot run')
    .option('--json', 'as JSON')
    .action(async ({ json }: { json?: boolean }) => {
      const config = readConfig(environment)
      const { examine } = await import('../doctor/doctor.ts')
      const { reportOf } = await import('../doctor/finding.ts')
      const { pino } = await import('pino')
      const { pipelineDir, python } = config
      const pipelines = { builtinDir, appDir: process.cwd(), pipelineDir, python }
      const findings = await examine({ ...config, pipelines }, pino({ level: 'silent' }))
      console.log(json ? JSON.stringify(findings, null, 2) : reportOf(findings))
      if (findings.some(({ state }) => state === 'missing')) process.exitCode = 1
    })
}
