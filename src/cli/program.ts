import { Command } from 'commander'
import { AppError } from '../core/errors.ts'
import { systemSupport } from '../core/system.ts'
import { addDev } from './dev/command.ts'
import { addDispatch } from './dispatch/command.ts'
import { addDoctor } from './doctor.ts'
import { addMeasure } from './measure/command.ts'
import { addPackages } from './packages/commands.ts'
import { addPrepare } from './prepare/command.ts'
import { addRun } from './run/command.ts'
import { addServe } from './serve.ts'
import { about } from './surroundings.ts'

const program = new Command('millrace')
  .description('Puts live video streams through an AI pipeline and back out to viewers.')
  .version(about.version)
  .exitOverride((error) => {
    process.exitCode = error.exitCode === 0 ? 0 : 2
    throw error
  })

/** These start no pipeline and so run on any system; `doctor` reports the system itself. */
const ANYWHERE = ['pipelines', 'install', 'uninstall', 'new', 'doctor', 'dispatch']
program.hook('preAction', (_, command) => {
  const { state, sentence } = systemSupport()
  if (state === 'tested' || ANYWHERE.includes(command.name())) return
  if (state === 'unsupported') throw new AppError('internal', sentence)
  console.error(`millrace: ${sentence}`)
})

addServe(program)
addPackages(program)
addPrepare(program)
addDoctor(program)
addDispatch(program)
addDev(program)
addRun(program)
addMeasure(program)

try {
  await program.parseAsync()
} catch (thrown) {
  if (thrown instanceof AppError) {
    console.error(`millrace: ${thrown.message}`)
    process.exitCode ??= thrown.code === 'invalid-request' ? 2 : 1
  } else if (process.exitCode === undefined) throw thrown
}
