import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { Child } from '../../src/core/child.ts'

const MODULE = fileURLToPath(new URL('../../src/exit.ts', import.meta.url))

async function run(before: string): Promise<Child['exit']> {
  const script = `import { exitProcess } from '${MODULE}'; ${before}; exitProcess(7)`
  const child = await Child.spawn({
    command: process.execPath,
    args: ['--input-type=module', '-e', script],
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  await child.closed
  return child.exit
}

test('a process exits with its code', async () => {
  expect(await run('')).toMatchObject({ code: 7 })
})

test('exit listeners are called', async () => {
  expect(await run("process.on('exit', () => process.kill(process.pid, 'SIGUSR2'))")).toMatchObject({
    signal: 'SIGUSR2',
  })
})

test('a process that hangs while exiting is killed', async () => {
  expect(await run("process.on('exit', () => { for (;;); })")).toMatchObject({ signal: 'SIGALRM' })
})
